complete -c smail -l to -d 'Recipient in the To header' -r
complete -c smail -s c -l cc -d 'Recipient in the Cc header' -r
complete -c smail -s b -l bcc -d 'Recipient that no header shows' -r
complete -c smail -l to-file -d 'Recipients from a file, one a line, in no header (`-`: standard input)' -r -F
complete -c smail -s T -l target -d 'Recipient into a field, as in `cc: ann@example.org`' -r
complete -c smail -s r -l from -d 'Sender: the From header and the envelope' -r
complete -c smail -l reply-to -d 'Where answers go' -r
complete -c smail -s s -l subject -d 'Subject' -r
complete -c smail -s a -l attach -d 'Attach a file (`-`: standard input; `name=` and `type=` with its parameters may follow after `;`), or add a header when no such file exists' -r
complete -c smail -l inline -d 'Image for the HTML, which shows it as `cid:` and the file\'s name' -r -F
complete -c smail -l html -d 'Body is HTML, from standard input or from a file; a text alternative is made' -r -F
complete -c smail -s C -l header -d 'Further header' -r
complete -c smail -s q -l quote-file -d 'Put a file before the body' -r -F
complete -c smail -s m -d 'Take the body from a file, its type by the name' -r -F
complete -c smail -s M -l content-type -d 'Media type of the body, as in text/html' -r
complete -c smail -s S -l set -d 'Setting by its TOML or mail.rc name; wins over files and environment' -r
complete -c smail -s A -l account -d 'Account to send with' -r
complete -c smail -l provider -d 'Provider whose server is used, and whose replies are explained, by its name in the table' -r
complete -c smail -l config -d 'Read this TOML file instead of the usual ones' -r -F
complete -c smail -s ':' -l resource-files -d 'Which mail.rc files are read: `s` system, `u` user, `/` none' -r
complete -c smail -s X -l startup-cmd -d 'Line of mail.rc to run before the files' -r
complete -c smail -s Y -l cmd -d 'Line of mail.rc to run after the files' -r
complete -c smail -l setup -d 'Set smail up: ask what is missing, try it, and write it down' -r
complete -c smail -l from-mailrc -d 'With --setup: turn the mail.rc that is there into config.toml' -r -F
complete -c smail -l password-from -d 'With --setup: where the password comes from, `stdin` or a command that prints it' -r
complete -c smail -l dsn-notify -d 'When servers tell the sender what became of the mail: `never`, or some of `success`, `failure`, `delay`' -r
complete -c smail -l dsn-return -d 'How much of the mail goes into such a notice of failure: `headers` or `full`' -r
complete -c smail -l dsn-envid -d 'Name of the mail in such a notice, at most 100 characters' -r
complete -c smail -l explain -d 'Explain a reply code, a reply, or what standard input holds (a log, a mail that came back), and send nothing' -r
complete -c smail -l as -d 'Be sendmail, mailq, newaliases or mailx for the words that follow; only as the first word' -r
complete -c smail -l generate -d 'Print a generated file: man, man-config, bash, zsh, fish, config' -r -f -a "man\t'smail.1'
man-config\t'smail-config.5'
bash\t'Completion for bash'
zsh\t'Completion for zsh'
fish\t'Completion for fish'
config\t'config.example.toml'"
complete -c smail -l queue-show -d 'Show a mail of the queue: what happened to it, and its text' -r
complete -c smail -l hold -d 'Keep a mail of the queue from being sent' -r
complete -c smail -l release -d 'Let a mail of the queue be sent again, also one that failed' -r
complete -c smail -l remove -d 'Remove a mail of the queue for good' -r
complete -c smail -l idempotency-key -d 'Send only once in seven days for the same key' -r
complete -c smail -l content-filename -d 'Name of the file that the next -a attaches, as the receiver sees it' -r
complete -c smail -l encoding -d 'How text beyond ASCII travels: the setting `encoding`' -r
complete -c smail -l exec -d 'Without effect: a command of GNU mail' -r
complete -c smail -s O -d 'Without effect: an argument for a sendmail program, which mta-arguments sets' -r
complete -c smail -s t -l template -d 'Read recipients, subject and headers from the head of standard input'
complete -c smail -s E -l skip-empty -d 'Send nothing when the body is empty'
complete -c smail -l no-config -d 'Read no settings files at all'
complete -c smail -s n -d 'Do not read the system\'s mail.rc'
complete -c smail -l show-settings -d 'Print every setting with its value and where it was said'
complete -c smail -l yes -d 'With --setup: ask nothing, accept what is proposed'
complete -c smail -l check -d 'Try the way of a mail step by step, with `--to` also a recipient, and send nothing; an ACCOUNT may follow'
complete -c smail -s d -l dry-run -d 'Print the message, its envelope and its way, and send nothing'
complete -c smail -s v -l verbose -d 'Show the dialogue with the server, secrets struck out'
complete -c smail -l quiet -d 'Print no warnings'
complete -c smail -l json -d 'Print what became of the mail as one JSON object'
complete -c smail -s h -l help -d 'Print help'
complete -c smail -s V -l version -d 'Print version'
complete -c smail -l no-queue -d 'Send at once or not at all: keep nothing for later'
complete -c smail -l queue -d 'List the mail that waits and the mail that failed'
complete -c smail -l flush -d 'Send what is due, or the mails with these ids'
complete -c smail -l queue-check -d 'Prove every mail of the queue, and repair what a crash left'
complete -c smail -s '~' -l enable-cmd-escapes -d 'Honour the tilde escapes ~s ~c ~b ~t ~r ~@ ~. ~~ in the body'
complete -c smail -s '#' -l batch-mode -d 'Like -~, and a lone dot ends the body'
complete -c smail -s F -d 'Keep a copy in a file named after the first recipient'
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
