/* Plain files: writing and reading at a place, and a file that all ranks write to.
 *
 * What HDF5 does in parallel can't be survived when it fails: a rank whose write of metadata failed leaves
 * the others in a barrier of HDF5's own (measured with 1.10.8). So whatever is written in parallel goes
 * through these, where every failure has an errno and the rank that has it comes back. */
#ifndef TRM_STORE_PLAIN_H
#define TRM_STORE_PLAIN_H

#include "base/error.h"

#include <mpi.h>
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

/* Opens temporary for writing on all ranks; truncate: rank 0 makes it anew first. *file is -1 where it
 * failed. Collective. Errors: PERMISSION, IO, CREATE. */
trm_status trm_plain_open(MPI_Comm comm, trm_plain_name name, const char *temporary, int truncate, int *file,
                          trm_error *err) TRM_MUST_CHECK;

/* Brings what this rank wrote to the disk, and closes; also where status is a failure, which is returned
 * then. Not collective. Errors: IO. */
trm_status trm_plain_close(int *file, trm_plain_name name, trm_status status, trm_error *err) TRM_MUST_CHECK;

#endif
