//! `messnetz`, the program: agent, collector, store, dashboard, reports and command line.
