-- The embedded event log, format 1. Truth is `meta`, `pages` and `tail`; `streams` and `stream_pages` are an index over
-- them and can be rebuilt. Integers are SQLite's signed 64 bits; digests are SHA-256.

-- log id, format, page size, epoch, writer (the fence of the process that may append).
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for every fork an operator declared: where the log stood, and which watermark it gave up.
CREATE TABLE epochs (
    epoch              INTEGER NOT NULL PRIMARY KEY,
    position           INTEGER NOT NULL,
    root               TEXT    NOT NULL,
    abandoned_epoch    INTEGER,
    abandoned_position INTEGER,
    abandoned_root     TEXT,
    reason             TEXT    NOT NULL
) STRICT;

CREATE TABLE streams (
    slot     INTEGER NOT NULL PRIMARY KEY,
    name     TEXT    NOT NULL UNIQUE,
    revision INTEGER NOT NULL
) STRICT;

-- The newest events, one row each, until a full aligned run of them becomes a page.
CREATE TABLE tail (
    position    INTEGER NOT NULL PRIMARY KEY,
    slot        INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    id          TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    time        INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    causation   TEXT,
    correlation TEXT,
    provenance  TEXT    NOT NULL,
    rules       INTEGER NOT NULL,
    data        TEXT    NOT NULL,
    leaf        TEXT    NOT NULL
) STRICT;

-- Page k holds positions k*size+1 ..= (k+1)*size. `bytes` stands last: SQLite then reads the other columns without
-- walking the blob.
CREATE TABLE pages (
    page   INTEGER NOT NULL PRIMARY KEY,
    first  INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    digest BLOB    NOT NULL,
    root   BLOB    NOT NULL,
    bytes  BLOB    NOT NULL
) STRICT;

CREATE TABLE stream_pages (
    slot INTEGER NOT NULL,
    page INTEGER NOT NULL,
    PRIMARY KEY (slot, page)
) STRICT, WITHOUT ROWID;
