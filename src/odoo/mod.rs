//! What Odoo prints and what addons are made of, read as values. Pure: text in, values out; never IO, never a panic on any bytes.

mod addon;

pub use addon::Addon;
