/* Lists of batches as text: one batch a line, row ids separated by spaces, tabs or commas. Lines without anything and
 * lines that begin with # are no batches. Rank 0 looks at the whole file; then each rank reads its own lines. */
#ifndef TRM_STORE_BATCH_TEXT_H
#define TRM_STORE_BATCH_TEXT_H

#include "store/sources.h"
#include "trimine/batches.h"

#include <mpi.h>

/* Is an input text, and no HDF5 file? Not collective. Errors: NO_INPUT, PERMISSION, IO. */
trm_status trm_batch_text_recognize(const trm_named_file *about, bool *is_text,
                                    trm_error *err) TRM_MUST_CHECK;

/* Checks all lines and counts the batches. Not collective. Errors: DATA (what is no row id, with its line; no batches), IO,
 * as above. */
trm_status trm_batch_text_count(const trm_named_file *about, int64_t *batches, trm_error *err) TRM_MUST_CHECK;

/* This rank's trm_share of so many batches: count, start and row of *share, new memory, in the order of the file.
 * Collective. Errors: as above, MEMORY, agreed. */
trm_status trm_batch_text_read(MPI_Comm comm, const trm_named_file *about, int64_t batches,
                               trm_batches *share, trm_error *err) TRM_MUST_CHECK;

#endif
