//! The `odoo-agent` program.

fn main() {}
