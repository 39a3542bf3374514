//! One text for one JSON value, whatever its spaces and the order of its keys: what checksums are of.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ui::text;

/// SHA-256 of a value, in hex digits.
pub(crate) fn digest(value: &Value) -> String {
    let mut bytes = Vec::new();
    write(value, &mut bytes);
    text::hex(&Sha256::digest(&bytes))
}

fn write(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_unstable();
            bytes.push(b'{');
            for key in keys {
                write(&Value::from(key.as_str()), bytes);
                bytes.push(b':');
                write(&fields[key], bytes);
                bytes.push(b',');
            }
            bytes.push(b'}');
        }
        Value::Array(items) => {
            bytes.push(b'[');
            for item in items {
                write(item, bytes);
                bytes.push(b',');
            }
            bytes.push(b']');
        }
        plain => bytes.extend_from_slice(plain.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_the_order_of_keys_change_nothing_and_everything_else_does() {
        let of = |text: &str| digest(&serde_json::from_str(text).unwrap());
        let one = of(r#"{"a": [1, {"b": "x", "c": null}]}"#);
        assert_eq!(one, of(r#"{ "a":[1,{"c":null,"b":"x"}] }"#));
        for other in [
            r#"{"a": [1, {"b": "x"}]}"#,
            r#"{"a": [1, {"b": "y", "c": null}]}"#,
            r#"{"a": [{"b": "x", "c": null}, 1]}"#,
            r#"{"a": ["1", {"b": "x", "c": null}]}"#,
        ] {
            assert_ne!(one, of(other), "{other}");
        }
    }
}
