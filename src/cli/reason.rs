//! What people type as a reason or a comment: whoever reads the log later needs more than white space.

/// Takes a reason that says something.
pub(super) fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => {
            Err("it is recorded with the decision, so say something: a ticket, or a few words, such as ticket-91"
                .into())
        }
        said => Ok(said.to_owned()),
    }
}
