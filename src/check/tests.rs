//! Lines and objects for made-up steps.
