//! Programs that run as services, one a file of `bin/`. A test tells that one
//! has begun by the line that it prints.
