/* Plain files: writing and reading at a place.
 *
 * What HDF5 does in parallel can't be survived when it fails: a rank whose write of metadata failed leaves
 * the others in a barrier of HDF5's own (measured with 1.10.8). So whatever is written in parallel goes
 * through these, where every failure has an errno and the rank that has it comes back. */
#ifndef TRM_STORE_PLAIN_H
#define TRM_STORE_PLAIN_H

#include "base/error.h"

#include <stdint.h>

/* A file as messages name it: KIND 'PATH'. Both borrowed. */
typedef struct trm_plain_name {
    const char *kind; /* "output", "checkpoint" */
    const char *path;
} trm_plain_name;

/* All of bytes, at a place of an open file. Not collective. Errors: IO; reading past the end: DATA. */
trm_status trm_plain_write(int file, trm_plain_name name, const void *data, int64_t bytes, int64_t at,
                           trm_error *err) TRM_MUST_CHECK;
trm_status trm_plain_read(int file, trm_plain_name name, void *data, int64_t bytes, int64_t at,
                          trm_error *err) TRM_MUST_CHECK;

/* Brings what this rank wrote to the disk. Not collective. Errors: IO. */
trm_status trm_plain_sync(int file, trm_plain_name name, trm_error *err) TRM_MUST_CHECK;

#endif
