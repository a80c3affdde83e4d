//! The numbers of NAT tests.

use std::time::Duration;
/// How often a NAT is asked while a server answers. Five sends in a row are lost by chance in one of fifty thousand runs if
/// nothing was lost before (see `NAT_DOUBT`), and silence is known 400 ms after the first.
pub const NAT_GAPS: [Duration; 5] = [
    Duration::from_millis(80),
    Duration::from_millis(80),
    Duration::from_millis(80),
    Duration::from_millis(80),
    Duration::from_millis(160),
];

/// The same for a server that has not answered yet: doubled, since it may be dead.
pub const NAT_FIRST_GAPS: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
];

/// Profile `patient`: RFC 8489, section 6.2.1, RTO 500 ms doubled with Rc = 7 sends in all, then each 4 s.
pub const NAT_PATIENT_GAPS: [Duration; 7] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(4),
];

/// An answer may take so long at least: the last gap of a silence. Longer where round trips are (twice the longest seen).
pub const NAT_ANSWER_WITHIN: Duration = Duration::from_millis(80);

/// Profile `patient`: Rm = 16 times the RTO (RFC 8489, section 6.2.1).
pub const NAT_PATIENT_ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// When a part of the test ends with what it has. `fast`: a person waits. `normal`: 30 % loss each way still leaves nothing
/// unknown. `patient`: three times the RFC's 39.5 s, with time for as many sends as loss demands.
pub const NAT_GIVE_UP: [Duration; 3] =
    [Duration::from_millis(1_500), Duration::from_secs(5), Duration::from_secs(120)];

/// How long a silent server is waited for once another has answered: above the second-longest silence of one that answers.
pub const NAT_PATIENCE: Duration = Duration::from_millis(500);

/// The same in the profile `patient`: the 39.5 s after which RFC 8489 gives up.
pub const NAT_PATIENT_PATIENCE: Duration = Duration::from_millis(39_500);

/// Silence is taken for filtering if the losses that were seen make so many in a row less probable than this.
pub const NAT_DOUBT: f64 = 2e-5;

/// Fewer requests than these are never silence, however clean the path. Five of 80 ms stay under half a second.
pub const NAT_LEAST_ASKED: usize = 5;

/// The same in the profile `patient`: Rc = 7 (RFC 8489, section 6.2.1). With the wait after the last one a silence takes 39.5 s.
pub const NAT_PATIENT_LEAST_ASKED: usize = 7;

/// Sockets of each group by which port allocation is found out: twelve in all, as P2PD asks for; six at once with the four
/// filtering requests are what RFC 8489, section 6.2, allows to one server.
pub const NAT_SOCKETS: u16 = 6;

/// Up to which age the lifetime of a mapping is measured: above the two minutes of RFC 4787, REQ-5.
pub const NAT_LIFETIME: Duration = Duration::from_secs(150);

/// How long a TCP connection for the mapping test, or the check for a captive portal, may take.
pub const NAT_TCP_WITHIN: Duration = Duration::from_secs(3);

/// Attempts to find consecutive free ports.
pub const NAT_RUN_ATTEMPTS: usize = 20;
