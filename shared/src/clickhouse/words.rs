//! Where a code says too little, the server's words are read: what is asked of them, and nothing else.

/// Does the store refuse the credentials, and not one object?
pub fn refuses_keys(message: &str) -> bool {
    [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
        "AuthenticationFailed",
    ]
    .iter()
    .any(|mark| message.contains(mark))
}

/// Does the store say that the object is not there, or not for us?
pub fn says_gone(message: &str) -> bool {
    let has_status = |status: &str| {
        ["HTTP response code: ", "HTTP status code: "]
            .iter()
            .any(|head| message.contains(&format!("{head}{status}")))
    };
    let marks = [
        "does not exist",
        "NoSuchKey",
        "NO_SUCH_KEY",
        "BlobNotFound",
        "AccessDenied",
        "Access Denied",
    ];
    marks.iter().any(|mark| message.contains(mark))
        || ["401", "403", "404", "410"].into_iter().any(has_status)
}

/// Does the server say that the store, or the network on the way to it, is away or overloaded?
pub(super) fn says_away(message: &str) -> bool {
    let has_status = ["HTTP response code: ", "HTTP status code: "].iter().any(|head| {
        ["429", "500", "502", "503", "504"]
            .iter()
            .any(|status| message.contains(&format!("{head}{status}")))
    });
    let marks = [
        "SlowDown",
        "ServiceUnavailable",
        "Service Unavailable",
        "InternalError",
        "RequestTimeout",
        "Timeout",
        "timed out",
        "Connection refused",
        "Connection reset",
        "Broken pipe",
        "Net Exception",
        "Network is unreachable",
        "No route to host",
        "Host not found",
        "No message received",
    ];
    has_status || marks.iter().any(|mark| message.contains(mark))
}

/// Does the server say that an address is none?
pub fn says_odd_address(message: &str) -> bool {
    message.contains("Bad URI syntax") || message.contains("URISyntaxException")
}

/// Of INVALID_STATE: has the server had no connection to Keeper since its start, so that it does not
/// know yet whether its KeeperMap tables are there? The same code says that Keeper does not know them.
pub fn says_unconnected(message: &str) -> bool {
    message.contains("because of connection issues")
}

/// Of TOO_MANY_PARTS: are there too many parts in a table, and not too many partitions in one block?
pub(super) fn says_behind(message: &str) -> bool {
    message.contains("Too many parts") || message.contains("Too many inactive parts")
}
