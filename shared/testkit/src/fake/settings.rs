//! Settings of a fake, changed in part.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// These settings with some of them changed; none is when one is unknown or makes no sense.
pub(super) fn changed<Settings: Serialize + DeserializeOwned>(
    settings: &Settings,
    changes: Value,
) -> Result<Settings, String> {
    let Value::Object(changes) = changes else {
        return Err("settings are an object".to_owned());
    };
    let mut all = serde_json::to_value(settings).map_err(|error| error.to_string())?;
    if let Value::Object(all) = &mut all {
        all.extend(changes);
    }
    serde_json::from_value(all).map_err(|error| error.to_string())
}
