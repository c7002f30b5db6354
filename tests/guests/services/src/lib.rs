//! Programs that run as services, one per file in `bin/`. Each prints a line when it has started,
//! which the tests wait for.
