-- What `stock` works with: `psql -f schema.sql`, as whoever owns the database.

CREATE TABLE stock (
    name   text   PRIMARY KEY,
    pieces bigint NOT NULL CHECK (pieces >= 0)
);

-- The newest token that has written.
CREATE TABLE fence (
    name  text   PRIMARY KEY,
    fencing_token bigint NOT NULL
);
INSERT INTO fence VALUES ('stock', 0);
