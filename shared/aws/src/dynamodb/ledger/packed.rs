//! JSON that is kept compressed with zstd.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::item::{BadShape, Reader};

/// Compression: zstd's own default.
const LEVEL: i32 = 3;

pub(super) fn pack(value: &impl Serialize) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(&serde_json::to_vec(value)?, LEVEL)
}

/// Reads what [`pack`] made of ids. A fault says nothing of the text.
pub(super) fn unpack<T: DeserializeOwned>(item: Reader<'_>, name: &str) -> Result<T, BadShape> {
    let Some(packed) = item.bytes_if_any(name)? else {
        return Err(BadShape(format!("{name} is missing")));
    };
    let json = zstd::decode_all(packed).map_err(|_| BadShape(format!("{name} is not zstd")))?;
    serde_json::from_slice(&json).map_err(|_| BadShape(format!("{name} holds no ids")))
}
