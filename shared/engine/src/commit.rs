//! The one way in which a checkpoint is written.

use crate::{Checkpoint, Checkpoints, StoreFailure, Written};

/// Writes a checkpoint (C1, C2); whether it is the stored one now. After a refusal or a lost answer it is read back: a
/// write that did arrive has succeeded, even if its second arrival was refused.
pub(crate) async fn write<C: Checkpoints>(checkpoints: &C, next: &Checkpoint) -> Result<bool, StoreFailure> {
    let answer = checkpoints.store(next).await;
    if matches!(answer, Ok(Written::Applied)) {
        return Ok(true);
    }
    let is_stored = checkpoints.load(&next.stream).await?.as_ref() == Some(next);
    if is_stored { Ok(true) } else { answer.map(|_| false) }
}
