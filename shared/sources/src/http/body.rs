//! Reading bodies: never more of one than may be of use.

use reqwest::Response;

use super::problem::Problem;
use super::words::OwnError;
use crate::json;

/// How much of an error's text is read, after decompression: enough to know whose it is and what it says.
pub(super) const ERROR_BYTES_MAX: usize = 2 << 10;

/// The body, as long as it keeps to its limit. A length that is announced (and true only of a body that is not
/// compressed) is believed when it is too large, never as an excuse to stop counting.
///
/// What begins as an error, or as no JSON at all, is left after its first 2 KiB: no data follow, and what is compressed
/// may become a thousand times as large.
pub(super) async fn whole(mut response: Response, bytes_max: usize, own: OwnError) -> Result<Vec<u8>, Problem> {
    let announced = response.content_length().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
    if announced > bytes_max {
        return Err(Problem::TooLarge { bytes_max });
    }
    let mut body = Vec::with_capacity(announced.min(64 << 10));
    let mut is_looked_at = false;
    while let Some(part) = response.chunk().await.map_err(Problem::of)? {
        if part.len() > bytes_max - body.len() {
            return Err(Problem::TooLarge { bytes_max });
        }
        body.extend_from_slice(&part);
        if !is_looked_at && let Some(start) = body.get(..ERROR_BYTES_MAX) {
            is_looked_at = true;
            if let Some(error) = without_data(start, own) {
                return Ok(error);
            }
        }
    }
    Ok(body)
}

/// What there is of a body that begins as an error or as no JSON; none when data may follow.
fn without_data(start: &[u8], own: OwnError) -> Option<Vec<u8>> {
    match json::without_marks(start).first()? {
        b'[' => None,
        b'{' => error_text(start, own).map(String::into_bytes),
        _ => Some(start.to_vec()),
    }
}

/// The vendor's own error that a body begins with, as JSON however it was cut.
pub(super) fn error_text(start: &[u8], own: OwnError) -> Option<String> {
    let text = String::from_utf8_lossy(json::without_marks(start));
    json::completed(&text).filter(|json| own(json))
}

/// As much of an unsuccessful answer as comes: its status is what counts, so that neither its length nor its end
/// matters.
pub(super) async fn start(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        let room = ERROR_BYTES_MAX - body.len();
        body.extend_from_slice(part.get(..room).unwrap_or(&part));
        if part.len() >= room {
            break;
        }
    }
    body
}
