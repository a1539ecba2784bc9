complete -c smail -l to -d 'Recipient in the To header' -r
complete -c smail -s c -l cc -d 'Recipient in the Cc header' -r
complete -c smail -s b -l bcc -d 'Recipient that appears in no header' -r
complete -c smail -l to-file -d 'Read recipients from a file, one a line; they appear in no header (`-`: standard input)' -r -F
complete -c smail -s T -l target -d 'Add a recipient to a field, as in `cc: ann@example.org`' -r
complete -c smail -s r -l from -d 'Sender, in the From header and in the envelope' -r
complete -c smail -l reply-to -d 'Address for replies' -r
complete -c smail -s s -l subject -d 'Subject' -r
complete -c smail -s a -l attach -d 'Attach a file (`-`: standard input; `name=` and `type=` with parameters may follow after `;`), or add a header if no such file exists' -r
complete -c smail -l inline -d 'Add an image that the HTML shows as `cid:` and the file\'s name' -r -F
complete -c smail -l html -d 'Send HTML from standard input or a file, with a generated text alternative' -r -F
complete -c smail -s C -l header -d 'Add a header' -r
complete -c smail -s q -l quote-file -d 'Put a file before the body' -r -F
complete -c smail -s m -d 'Read the body from a file; its name determines the type' -r -F
complete -c smail -s M -l content-type -d 'Media type of the body, as in text/html' -r
complete -c smail -s S -l set -d 'Set a setting by its TOML or mail.rc name; overrides files and environment' -r
complete -c smail -s A -l account -d 'Use this account' -r
complete -c smail -l provider -d 'Use the server of this provider, named as in the table, and explain replies as its own' -r
complete -c smail -l config -d 'Read this TOML file instead of the usual ones' -r -F
complete -c smail -s ':' -l resource-files -d 'Choose the mail.rc files to read: `s` system, `u` user, `/` none' -r
complete -c smail -s X -l startup-cmd -d 'Run a line of mail.rc before the files' -r
complete -c smail -s Y -l cmd -d 'Run a line of mail.rc after the files' -r
complete -c smail -l setup -d 'Set up smail: ask for what is missing, try it, and write the settings' -r
complete -c smail -l from-mailrc -d 'With --setup: convert the existing mail.rc into config.toml' -r -F
complete -c smail -l password-from -d 'With --setup: source of the password, `stdin` or a command that prints it' -r
complete -c smail -l login -d 'Sign in to the provider of access tokens (OAuth2), for the settings or for an account' -r
complete -c smail -l token -d 'Print an access token (OAuth2), for other programs' -r
complete -c smail -l dsn-notify -d 'When servers notify the sender about delivery: `never`, or any of `success`, `failure`, `delay`' -r
complete -c smail -l dsn-return -d 'How much of the message a failure notice includes: `headers` or `full`' -r
complete -c smail -l dsn-envid -d 'Identifier of the message in such notices, at most 100 characters' -r
complete -c smail -l explain -d 'Explain a reply code, a reply, or standard input (a log, a bounce), and send nothing' -r
complete -c smail -l as -d 'Act as sendmail, mailq, newaliases or mailx; must be the first argument' -r
complete -c smail -l generate -d 'Print a generated file: man, man-config, bash, zsh, fish, config' -r -f -a "man\t'smail.1'
man-config\t'smail-config.5'
bash\t'Completion for bash'
zsh\t'Completion for zsh'
fish\t'Completion for fish'
config\t'config.example.toml'"
complete -c smail -l queue-show -d 'Show a queued message: its history and its text' -r
complete -c smail -l hold -d 'Keep a queued message from being sent' -r
complete -c smail -l release -d 'Let a held or failed message be sent again' -r
complete -c smail -l remove -d 'Delete a message from the queue' -r
complete -c smail -l idempotency-key -d 'Send only once in seven days with the same key' -r
complete -c smail -l content-filename -d 'File name that the recipient sees for the next -a' -r
complete -c smail -l encoding -d 'How to encode text beyond ASCII: the setting `encoding`' -r
complete -c smail -l exec -d 'Without effect: a command of GNU mail' -r
complete -c smail -s O -d 'Without effect: an argument for a sendmail program; use mta-arguments' -r
complete -c smail -s t -l template -d 'Read recipients, subject and headers from the header of standard input'
complete -c smail -s E -l skip-empty -d 'Send nothing if the body is empty'
complete -c smail -l no-config -d 'Read no settings files'
complete -c smail -s n -d 'Do not read the system\'s mail.rc'
complete -c smail -l show-settings -d 'Print every setting with its value and where it was set'
complete -c smail -l yes -d 'With --setup: ask nothing, accept all proposals'
complete -c smail -l status -d 'With --login: show for how long each account is signed in'
complete -c smail -l no-browser -d 'With --login: open no browser; paste the address where it ended instead'
complete -c smail -l check -d 'Test a delivery step by step, with `--to` also the recipient, and send nothing; an ACCOUNT may follow'
complete -c smail -s d -l dry-run -d 'Print the message, its envelope and its route, and send nothing'
complete -c smail -s v -l verbose -d 'Show the session with the server, secrets redacted'
complete -c smail -l quiet -d 'Print no warnings'
complete -c smail -l json -d 'Print the result as one JSON object'
complete -c smail -s h -l help -d 'Print help'
complete -c smail -s V -l version -d 'Print version'
complete -c smail -l no-queue -d 'Send now or fail: keep nothing for later'
complete -c smail -l queue -d 'List waiting and failed mail'
complete -c smail -l flush -d 'Send all mail that is due, or the messages with these ids'
complete -c smail -l queue-check -d 'Verify every queued message, and repair the damage of a crash'
complete -c smail -s '~' -l enable-cmd-escapes -d 'Interpret the tilde escapes ~s ~c ~b ~t ~r ~@ ~. ~~ in the body'
complete -c smail -s '#' -l batch-mode -d 'Like -~, and a lone dot ends the body'
complete -c smail -s F -d 'Save a copy in a file named after the first recipient'
complete -c smail -s i -d 'Without effect'
complete -c smail -s N -l no-header-summary -d 'Without effect'
complete -c smail -s B -d 'Without effect'
complete -c smail -s I -d 'Without effect'
complete -c smail -s D -l disconnected -d 'Without effect'
complete -c smail -l skip-empty-attachments -d 'Without effect'
complete -c smail -l mime -d 'Without effect: everything is MIME'
complete -c smail -s '.' -l end-options -d 'Ends the options, as `--` does'
complete -c smail -s e -l check-and-exit -d 'Reading mode: refused'
complete -c smail -s f -l file -d 'Reading mode: refused'
complete -c smail -s H -l header-summary -d 'Reading mode: refused'
complete -c smail -s u -l inbox-of -d 'Reading mode: refused'
complete -c smail -s L -l search -d 'Reading mode: refused'
complete -c smail -s R -l read-only -d 'Reading mode: refused'
