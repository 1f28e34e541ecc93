//! What a fetch did.

use crate::{Notice, Reason, RecordId};

/// What a fetch did. The message is done with, whatever it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Vendor calls made.
    pub calls_count: u32,
    /// Ids that a later look had paid for already.
    pub paid_count: usize,
    /// Records written.
    pub written_count: usize,
    /// Records of which a later look was stored already.
    pub superseded_count: usize,
    /// Records marked deleted.
    pub deleted_count: usize,
    /// Ids put into the retry lane, or kept there, with the reason.
    pub set_aside: Vec<(RecordId, Reason, String)>,
    /// Ids left for later.
    pub left_count: usize,
    /// The vendor's last failure, for a person.
    pub failure: Option<String>,
    /// What it noticed.
    pub notices: Vec<Notice>,
}

impl FetchReport {
    pub(super) fn notice(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }
}
