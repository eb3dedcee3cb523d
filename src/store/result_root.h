/* What a result of ours says of itself in its root attributes, for who reads it back. Rank 0 alone, HDF5
 * silenced by the caller. */
#ifndef TRM_STORE_RESULT_ROOT_H
#define TRM_STORE_RESULT_ROOT_H

#include "store/loss_files.h"
#include "store/sources.h"

/* A file without attributes may come from anywhere; one that says that it is not complete is refused. Errors: DATA. */
trm_status trm_result_check_complete(const trm_named_file *about, hid_t file, trm_error *err) TRM_MUST_CHECK;

/* What it says of the store that it was made from. Errors: DATA. */
trm_status trm_result_read_origin(const trm_named_file *about, hid_t file, trm_triplets_origin *origin,
                                  trm_error *err) TRM_MUST_CHECK;

#endif
