//! What watches the machine and mails root: mdadm, smartd, logwatch, sudo.
use super::{Machine, content};

const WARNING: &str = "/usr/share/smartmontools/smartd_warning.sh";
const RUNNER: &str = "/usr/share/smartmontools/smartd-runner";

#[test]
fn mdadm_mails_its_test_message() {
    let Some(machine) = Machine::for_program("/sbin/mdadm") else { return };
    let call = machine.call(&["mdadm", "--monitor", "--test", "--oneshot", "--mail=root", "/dev/md0"]);
    assert_eq!(machine.silent(call).show(&["From", "To", "Subject"]), "");
}

#[test]
fn smartds_warning_says_no_word_that_smartd_would_log() {
    let Some(machine) = Machine::for_program(WARNING) else { return };
    let mut call = machine.call(&["env"]);
    for (name, value) in warning("root other@x.example") {
        call = call.arg(format!("{name}={value}"));
    }
    let letter = machine.silent(call.arg(WARNING));
    assert_eq!(letter.show(&["From", "To", "Subject"]), "");
}

#[test]
fn smartds_runner_of_debian_mails_its_report() {
    let Some(machine) = Machine::for_program(RUNNER) else { return };
    let mut call = machine.call(&["env"]);
    for (name, value) in warning("root") {
        call = call.arg(format!("{name}={value}"));
    }
    let letter = machine.silent(call.arg(RUNNER));
    assert_eq!(letter.show(&["From", "To", "Subject"]), "");
}

/// What smartd puts into the environment of its script for `-M test`.
fn warning(address: &str) -> [(&'static str, String); 12] {
    [
        ("SMARTD_MAILER", String::new()),
        ("SMARTD_ADDRESS", address.to_owned()),
        ("SMARTD_MESSAGE", "TEST EMAIL from smartd for device: /dev/sda".to_owned()),
        ("SMARTD_FAILTYPE", "EmailTest".to_owned()),
        ("SMARTD_TFIRST", String::new()),
        ("SMARTD_TFIRSTEPOCH", "0".to_owned()),
        ("SMARTD_PREVCNT", "0".to_owned()),
        ("SMARTD_NEXTDAYS", String::new()),
        ("SMARTD_DEVICEINFO", "DISK, S/N:1, FW:1.0, 1.00 TB".to_owned()),
        ("SMARTD_DEVICE", "/dev/sda".to_owned()),
        ("SMARTD_DEVICESTRING", "/dev/sda".to_owned()),
        ("SMARTD_DEVICETYPE", "auto".to_owned()),
    ]
}

#[test]
fn logwatch_mails_its_report() {
    let Some(machine) = Machine::for_program("/usr/sbin/logwatch") else { return };
    let call = machine.call(&["logwatch", "--output", "mail", "--mailto", "root", "--service", "zz-disk_space"]);
    let letter = machine.silent(call);
    assert_eq!(letter.read(&["From", "To", "Subject"]), "");
}

#[test]
fn sudo_mails_who_was_not_allowed() {
    let Some(machine) = Machine::for_program("/usr/bin/sudo") else { return };
    machine.write("/etc/sudoers", "Defaults !authenticate, !fqdn, !use_pty\nroot ALL=(ALL:ALL) ALL\n", 0o440);
    let refused = machine.call_as("nobody", &["sudo", "-n", "true"]).run();
    assert_eq!((refused.status, refused.stdout.as_str()), (1, ""), "{refused:?}");
    let letter = machine.await_letters(1).remove(0);
    assert_eq!(letter.show(&["From", "To", "Subject", "Auto-Submitted"]), "");
    content(&machine.call(&["sudo", "-n", "true"]).run(), "");
}
