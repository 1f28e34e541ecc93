//! What a vendor is called for.

/// What a call is for: whether its failure can be one record's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It lists changes.
    List,
    /// It fetches one record.
    Detail,
}
