/* What a file's own bytes say, read without HDF5: where HDF5 refuses a file, its reasons are about its own
 * inside. Who gave the file wants to know that it is a .npy, or that its writer has not closed it yet. */
#ifndef TRM_STORE_FIRST_BYTES_H
#define TRM_STORE_FIRST_BYTES_H

#include <stdbool.h>
#include <stdint.h>

enum { TRM_NEWEST_SUPERBLOCK = 3 }; /* of HDF5 1.10 to 1.14; each library reads all older ones */

/* The facts in a superblock, with which an HDF5 file begins, at 0 or a power of two from 512. */
typedef struct trm_superblock {
    bool found, cut; /* cut: the file ends before it does, and nothing below is known */
    int version;
    bool open_for_writing; /* it is marked so; only version 3 has the mark */
    int64_t end;           /* bytes that the file has to have; 0: not known */
    bool root_unwritten;   /* where the root group should begin are zeros, or nothing */
} trm_superblock;

/* file: a regular file of so many bytes, open for reading. Not collective. */
trm_superblock trm_superblock_look(int file, int64_t bytes);

/* What a file without a superblock seems to be, and what to do about it; both borrowed for ever, never NULL.
 * Not collective. */
void trm_first_bytes_guess(int file, int64_t bytes, const char **what, const char **remedy);

/* What a file is by a mark that it begins with ("a gzip file"), borrowed for ever; NULL where it has none that is known:
 * it may be text. Not collective. */
const char *trm_first_bytes_known(int file, int64_t bytes);

/* How many bytes the mark of UTF-8 has that some editors put before a text, and that is no part of it: 3, or 0 where these
 * first bytes of a file have none. Not collective. */
int64_t trm_first_bytes_mark(const char *head, int64_t have);

/* What is said of a file of JSON that should have an object a line. */
#define TRM_JSON_ARRAY                                                                                       \
    "begins one JSON array, needs an object a line: jq -c '.[]' FILE.json >FILE.jsonl makes that of it"
/* And of a text that has one. */
#define TRM_TEXT_NUL "has a NUL byte: this is no text, or UTF-16: save it as UTF-8"

#endif
