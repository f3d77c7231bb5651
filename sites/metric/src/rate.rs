//! Data rates that know what they are a rate of: the layer they are counted on and the direction they have.
//!
//! Rates of one layer and one direction compare:
//!
//! ```
//! use messnetz_metric::{Down, Nominal, Payload, Rate, Up};
//! let contract = Rate::<Nominal, Down>::from_mbps(100.0);
//! assert!(contract > Rate::<Nominal, Down>::from_mbps(50.0));
//! ```
//!
//! Rates of two layers do not, nor do a download and an upload:
//!
//! ```compile_fail,E0308
//! use messnetz_metric::{Down, Nominal, Payload, Rate, Up};
//! let contract = Rate::<Nominal, Down>::from_mbps(100.0);
//! assert!(contract > Rate::<Payload, Down>::from_mbps(50.0));
//! ```
//!
//! ```compile_fail,E0308
//! use messnetz_metric::{Down, Nominal, Payload, Rate, Up};
//! let contract = Rate::<Nominal, Down>::from_mbps(100.0);
//! assert!(contract > Rate::<Nominal, Up>::from_mbps(50.0));
//! ```
//!
//! Whoever has to cross from one layer to another says how: what a port can carry ([`Rate::carries`]), or
//! what a text demands that does not know layers ([`Rate::taken_as`]).

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::metric::{Direction, Layer, Quantity};
use crate::units::{BitRate, Value};

/// What a type must have that only marks another.
pub trait Mark: Copy + Debug + Ord + Hash {}

/// A layer of the protocol stack, as a type.
pub trait OnLayer: Mark {
    /// The layer.
    const LAYER: Layer;
}

/// A direction, as a type.
pub trait Towards: Mark {
    /// The direction.
    const DIRECTION: Direction;
}

/// [`Layer::Contract`]: what the contract or the port states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nominal {}

/// [`Layer::TcpPayload`]: what the application gets out of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Payload {}

/// [`Direction::Down`], towards the school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Down {}

/// [`Direction::Up`], away from the school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Up {}

/// One of the two directions: which, says the metric that stands beside the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OneWay {}

/// The same in both directions at once, as a full-duplex port has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EachWay {}

impl Mark for Nominal {}
impl Mark for Payload {}
impl Mark for Down {}
impl Mark for Up {}
impl Mark for OneWay {}
impl Mark for EachWay {}

impl OnLayer for Nominal {
    const LAYER: Layer = Layer::Contract;
}

impl OnLayer for Payload {
    const LAYER: Layer = Layer::TcpPayload;
}

impl Towards for Down {
    const DIRECTION: Direction = Direction::Down;
}

impl Towards for Up {
    const DIRECTION: Direction = Direction::Up;
}

/// A data rate that is counted on layer `L` and has direction `D`; written as its bit/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Rate<L, D> {
    bits: BitRate,
    of: PhantomData<(L, D)>,
}

impl<L, D> Rate<L, D> {
    /// Says of `bits` what it is a rate of.
    #[must_use]
    pub const fn new(bits: BitRate) -> Self {
        Self {
            bits,
            of: PhantomData,
        }
    }

    /// So many Mbit/s, as [`BitRate::from_mbps`] reads them.
    #[must_use]
    pub fn from_mbps(mbps: f64) -> Self {
        Self::new(BitRate::from_mbps(mbps))
    }

    /// The bare rate, to be shown.
    #[must_use]
    pub const fn bits(self) -> BitRate {
        self.bits
    }

    /// A share of it, rounded to whole bit/s.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        Self::from_mbps(self.bits.as_mbps() * share)
    }
}

impl<L, D> From<Rate<L, D>> for BitRate {
    fn from(rate: Rate<L, D>) -> Self {
        rate.bits()
    }
}

impl<L, D> Default for Rate<L, D> {
    /// Nothing.
    fn default() -> Self {
        Self::new(BitRate::default())
    }
}

impl<L, D> Rate<L, D> {
    /// The same, its direction left to the metric beside it.
    #[must_use]
    pub const fn one_way(self) -> Rate<L, OneWay> {
        Rate::new(self.bits)
    }
}

impl<L: OnLayer, D: Towards> Rate<L, D> {
    /// The value of a quantity, where it is a rate of this layer and this direction.
    #[must_use]
    pub fn of(quantity: Quantity, value: Value) -> Option<Self> {
        let is_such =
            quantity.layer() == Some(L::LAYER) && quantity.direction() == Some(D::DIRECTION);
        value.as_rate().filter(|_| is_such).map(Self::new)
    }
}

impl<D> Rate<Nominal, D> {
    /// Reads a stated rate as one of another layer, where a text holds the two against each other and knows
    /// no layers, as Vfg 99/2021 of the Bundesnetzagentur does.
    #[must_use]
    pub const fn taken_as<L: OnLayer>(self) -> Rate<L, D> {
        Rate::new(self.bits)
    }
}

impl Rate<Nominal, EachWay> {
    /// What an Ethernet port of this rate can carry on `layer`, in each direction
    /// ([`Layer::share_of_ethernet`]).
    #[must_use]
    pub fn carries(self, layer: Layer) -> BitRate {
        self.share(layer.share_of_ethernet()).bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Micros;

    #[test]
    fn a_value_is_a_rate_only_of_its_own_layer_and_direction() {
        let rate = BitRate::from_mbps(94.0);
        let down = Quantity::Goodput(Direction::Down);
        let value = Value::Rate(rate);
        assert_eq!(
            Rate::<Payload, Down>::of(down, value),
            Some(Rate::new(rate))
        );
        assert_eq!(Rate::<Payload, Up>::of(down, value), None);
        assert_eq!(Rate::<Nominal, Down>::of(down, value), None);
        let time = Value::Time(Micros::from_micros(94));
        assert_eq!(Rate::<Payload, Down>::of(down, time), None);
    }

    #[test]
    fn a_port_carries_less_payload_than_it_is_named_for() {
        let port = Rate::<Nominal, EachWay>::from_mbps(1000.0);
        assert_eq!(port.carries(Layer::TcpPayload).as_bps(), 941_482_445);
        assert_eq!(port.carries(Layer::Contract), port.bits());
    }

    #[test]
    fn a_rate_is_written_as_its_bits_per_second() {
        let rate = Rate::<Nominal, Up>::new(BitRate::from_bps(40_000_000));
        assert_eq!(serde_json::to_string(&rate).unwrap(), "40000000");
        assert_eq!(
            serde_json::from_str::<Rate<Nominal, Up>>("40000000").unwrap(),
            rate
        );
    }
}
