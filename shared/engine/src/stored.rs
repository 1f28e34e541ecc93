//! What is stored of listed ids.

use std::collections::BTreeMap;

use crate::{RecordId, RecordKey, Source, StoreFailure, StoredVersion, StoredVersions, StreamName};

/// The stored versions of a stream's listed ids, by id; missing ones are left out. So is a locator that names no
/// record: the fetcher says what is wrong with it.
pub(crate) async fn versions_of<'i, S: Source, V: StoredVersions>(
    source: &S,
    versions: &V,
    stream: &StreamName,
    listed: impl Iterator<Item = &'i RecordId>,
) -> Result<BTreeMap<RecordId, StoredVersion>, StoreFailure> {
    let mut ids = BTreeMap::new();
    for id in listed {
        if let Ok((stream, record)) = source.record_of(stream, id) {
            ids.insert(RecordKey { source: source.kind(), stream, id: record }, id);
        }
    }
    let keys: Vec<RecordKey> = ids.keys().cloned().collect();
    let stored = versions.versions(&keys).await?;
    Ok(stored.into_iter().filter_map(|(key, version)| ids.get(&key).map(|id| ((*id).clone(), version))).collect())
}
