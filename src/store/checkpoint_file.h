/* Checkpoint files: arrays of words that ranks cut as they like, and what job they belong to.
 *
 * A line of text, a JSON object, then the arrays. Plain files, not HDF5: after a failed write HDF5 leaves no
 * way to go on (output.h), and a job whose checkpoint does not fit the disk should go on. Every array has an
 * order-independent hash, the header one of its own, so that any flipped bit is found. The old file stays
 * until the new one is whole and on the disk; then it is renamed over it. */
#ifndef TRM_STORE_CHECKPOINT_FILE_H
#define TRM_STORE_CHECKPOINT_FILE_H

#include "base/error.h"
#include "par/checkpoint.h"
#include "store/result.h"

#include <jansson.h>
#include <mpi.h>
#include <stddef.h>

/* What a job is: two jobs go on from each other's state only if these are equal. All borrowed. */
typedef struct trm_checkpoint_job {
    const char *command, *version;
    json_t *options;
    int64_t store_rows, store_dim;
    const char *store_fingerprint;
    int threads; /* to hash with; 0 is 1. Not part of what the job is */
} trm_checkpoint_job;

typedef struct trm_checkpoint_file trm_checkpoint_file;

/* Writes; *bytes gets the file's size. Collective. Errors: IO (disk full), PERMISSION, CREATE (also where
 * there is a file of another kind), MEMORY; what was there before is then still there. */
trm_status trm_checkpoint_file_write(MPI_Comm comm, trm_claim *claim, const trm_checkpoint_job *job,
                                     int parts, const trm_checkpoint_part *part, int64_t *bytes,
                                     trm_error *err) TRM_MUST_CHECK;

/* Whether there is a file of another kind at path, which must not be written over or removed as a checkpoint
 * is. Not collective. */
bool trm_checkpoint_file_is_foreign(const char *path);
/* Removes the checkpoint. Whether there was one; a file of another kind stays. errno says why one that is
 * there could not be removed, else 0. Rank 0. */
bool trm_checkpoint_file_remove(const trm_claim *claim);
/* The lowest K of the pieces of it (trm_claim_part with ".piece-K") that are there; -1 for none. Rank 0. */
int64_t trm_checkpoint_file_first_piece(const trm_claim *claim);

/* Opens and checks: every byte against its hash, and the job. Collective. The caller owns *checkpoint.
 * Errors: NO_INPUT; DATA (damaged, another version, another store); USAGE (other options, the first one
 * named). */
trm_status trm_checkpoint_file_open(MPI_Comm comm, const char *path, const trm_checkpoint_job *job,
                                    trm_checkpoint_file **checkpoint, trm_error *err) TRM_MUST_CHECK;
/* Words of an array, or -1. Not collective. */
int64_t trm_checkpoint_file_size(const trm_checkpoint_file *checkpoint, const char *name);
/* Reads words back. Collective. Errors: DATA (no such array, another length), IO. */
trm_status trm_checkpoint_file_load(const trm_checkpoint_file *checkpoint, int parts,
                                    const trm_checkpoint_part *part, trm_error *err) TRM_MUST_CHECK;
/* Frees and sets to NULL; NULL is fine. */
void trm_checkpoint_file_close(trm_checkpoint_file **checkpoint);

/* The header at the beginning of a file: its length as its first line tells (-1: this is no checkpoint); its
 * JSON, a new reference, or NULL where it is damaged. text: length bytes. Not collective. */
int64_t trm_checkpoint_file_header_bytes(const char *text, size_t length);
json_t *trm_checkpoint_file_header(const char *text, size_t length);

#endif
