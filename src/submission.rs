//! What programs hand over in sendmail's manner, read as mail.
pub mod dialogue;
