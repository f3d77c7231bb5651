//! What a driver says of its port: ioctls of netdevice(7) and `linux/ethtool.h`.

use std::io;
use std::os::fd::AsRawFd;

use messnetz_metric::BitRate;
use socket2::{Domain, Socket, Type};

use super::Duplex;

/// `ETHTOOL_GLINKSETTINGS`.
const GET_LINK_SETTINGS: u32 = 0x4c;

/// Words of `struct ethtool_link_settings` before its three bit masks.
const HEAD: usize = 12;

/// Most words that one of the masks can have: its length is a signed byte.
const MASK: usize = i8::MAX as usize;

/// The request and the answer, as 32-bit words. The kernel's struct has fields of one byte in words 2
/// to 5, which stand in memory order.
type Words = [u32; HEAD + 3 * MASK];

/// Where the fields that we use stand: word, and byte in it.
const SPEED: usize = 1;
const DUPLEX: (usize, usize) = (2, 0);
const MASK_WORDS: (usize, usize) = (3, 3);

/// What the driver states; nothing of it is a number that it did not state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) speed: Option<BitRate>,
    pub(super) duplex: Option<Duplex>,
    /// The largest rate that the port can have.
    pub(super) own: Option<BitRate>,
    /// The largest rate that the other end offers; `None` where it does not negotiate.
    pub(super) peer: Option<BitRate>,
}

/// Bits of `enum ethtool_link_mode_bit_indices` with their rate in Mbit/s, up to what a school's switches
/// have. Bits that are no rate, such as pause frames, are none of them.
const MODES: [(usize, u64); 29] = [
    (0, 10),
    (1, 10),
    (2, 100),
    (3, 100),
    (4, 1_000),
    (5, 1_000),
    (12, 10_000),
    (15, 2_500),
    (17, 1_000),
    (18, 10_000),
    (19, 10_000),
    (23, 40_000),
    (24, 40_000),
    (25, 40_000),
    (26, 40_000),
    (31, 25_000),
    (32, 25_000),
    (33, 25_000),
    (41, 1_000),
    (42, 10_000),
    (43, 10_000),
    (44, 10_000),
    (45, 10_000),
    (46, 10_000),
    (47, 2_500),
    (48, 5_000),
    (67, 100),
    (68, 1_000),
    (91, 100),
];

/// The largest rate in a mask of link modes.
fn largest(mask: &[u32]) -> Option<BitRate> {
    let is_set = |bit: usize| {
        mask.get(bit / 32)
            .is_some_and(|word| word & (1 << (bit % 32)) != 0)
    };
    MODES
        .iter()
        .filter(|(bit, _)| is_set(*bit))
        .map(|(_, mbps)| BitRate::from_bps(mbps * 1_000_000))
        .max()
}

/// Speed and duplex of the interface `name`; empty where its driver states nothing, as loopback and most
/// radios.
pub(super) fn link_settings(name: &str) -> io::Result<Settings> {
    let mut words: Words = [0; HEAD + 3 * MASK];
    words[0] = GET_LINK_SETTINGS;
    // The first call asks for the length of the masks: the kernel answers with the negative of it.
    match ethtool(name, &mut words) {
        Ok(()) => {}
        Err(error) if is_unsupported(&error) => return Ok(Settings::default()),
        Err(error) => return Err(error),
    }
    let length = byte(&words, MASK_WORDS).cast_signed().unsigned_abs();
    words = [0; HEAD + 3 * MASK];
    words[0] = GET_LINK_SETTINGS;
    set_byte(&mut words, MASK_WORDS, length.min(MASK as u8));
    match ethtool(name, &mut words) {
        Ok(()) => Ok(interpret(&words)),
        Err(error) if is_unsupported(&error) => Ok(Settings::default()),
        Err(error) => Err(error),
    }
}

/// The largest packet of the interface `name` (`SIOCGIFMTU`).
#[allow(unsafe_code)]
pub(super) fn mtu(name: &str) -> io::Result<u32> {
    let mut request = libc::ifreq {
        ifr_name: short_name(name)?,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_mtu: 0 },
    };
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // SAFETY: SIOCGIFMTU reads the name and writes the number of a live `ifreq`.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `ifru_mtu` was initialised above, and any bytes the kernel writes are an integer.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    u32::try_from(mtu).map_err(io::Error::other)
}

#[allow(unsafe_code)]
fn ethtool(name: &str, words: &mut Words) -> io::Result<()> {
    let mut request = libc::ifreq {
        ifr_name: short_name(name)?,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: words.as_mut_ptr().cast(),
        },
    };
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // SAFETY: `request` is live and points to `words`, which is live, writable and as long as the answer
    // to GET_LINK_SETTINGS, the only command it ever holds, can become: its head and three masks of as
    // many words as a signed byte can say.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The name with its closing zero; the kernel knows no longer names.
fn short_name(name: &str) -> io::Result<[libc::c_char; libc::IFNAMSIZ]> {
    let mut short = [0; libc::IFNAMSIZ];
    if name.len() >= short.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in short.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    Ok(short)
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL))
}

/// `SPEED_UNKNOWN` and `DUPLEX_UNKNOWN` are all ones; a speed of 0 is what drivers without a carrier
/// say, and no speed either.
fn interpret(words: &Words) -> Settings {
    // After the head: what the port supports, what it advertises, what the other end advertises.
    let length = usize::from(byte(words, MASK_WORDS)).min(MASK);
    let masks = &words[HEAD..];
    Settings {
        own: largest(&masks[..length]),
        peer: largest(&masks[2 * length..3 * length]),
        speed: match words[SPEED] {
            0 | u32::MAX => None,
            mbps => Some(BitRate::from_bps(u64::from(mbps) * 1_000_000)),
        },
        duplex: match byte(words, DUPLEX) {
            0 => Some(Duplex::Half),
            1 => Some(Duplex::Full),
            _ => None,
        },
    }
}

fn byte(words: &Words, (word, byte): (usize, usize)) -> u8 {
    words[word].to_ne_bytes()[byte]
}

fn set_byte(words: &mut Words, (word, byte): (usize, usize), value: u8) {
    let mut bytes = words[word].to_ne_bytes();
    bytes[byte] = value;
    words[word] = u32::from_ne_bytes(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(speed: u32, duplex: u8) -> Settings {
        let mut words: Words = [0; HEAD + 3 * MASK];
        words[SPEED] = speed;
        set_byte(&mut words, DUPLEX, duplex);
        interpret(&words)
    }

    #[test]
    fn a_gigabit_port_is_read() {
        let settings = answer(1000, 1);
        assert_eq!(settings.speed, Some(BitRate::from_mbps(1000.0)));
        assert_eq!(settings.duplex, Some(Duplex::Full));
        assert_eq!(answer(10, 0).duplex, Some(Duplex::Half));
    }

    #[test]
    fn what_both_ends_can_do_is_read_from_the_masks() {
        let mut words: Words = [0; HEAD + 3 * MASK];
        words[SPEED] = 100;
        // Two words each: the port does 10 to 1000 and 2500 Mbit/s, the other end 10 and 100.
        set_byte(&mut words, MASK_WORDS, 2);
        words[HEAD] = 0b10_1111;
        words[HEAD + 1] = 1 << (47 - 32);
        words[HEAD + 2] = u32::MAX;
        words[HEAD + 4] = 0b1111 | 1 << 6 | 1 << 13;
        let settings = interpret(&words);
        assert_eq!(settings.speed, Some(BitRate::from_mbps(100.0)));
        assert_eq!(settings.own, Some(BitRate::from_mbps(2_500.0)));
        assert_eq!(settings.peer, Some(BitRate::from_mbps(100.0)));
    }

    #[test]
    fn masks_longer_than_there_is_room_for_are_cut_and_not_read_beyond() {
        let mut words: Words = [u32::MAX; HEAD + 3 * MASK];
        set_byte(&mut words, MASK_WORDS, 0x80);
        assert_eq!(interpret(&words).own, Some(BitRate::from_mbps(40_000.0)));
    }

    #[test]
    fn what_the_driver_does_not_state_is_no_number() {
        assert_eq!(answer(u32::MAX, 0xff), Settings::default());
        assert_eq!(answer(0, 0xff), Settings::default());
    }

    #[test]
    fn the_fields_stand_where_the_kernel_has_them() {
        // struct ethtool_link_settings: cmd and speed of four bytes each, then eight of one byte.
        let offset = |(word, byte): (usize, usize)| word * 4 + byte;
        assert_eq!(offset(DUPLEX), 8);
        assert_eq!(offset(MASK_WORDS), 15);
        assert_eq!(HEAD * 4, 48);
    }

    #[test]
    fn a_name_too_long_for_the_kernel_is_no_device() {
        let error = mtu("an-interface-of-a-long-name").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
