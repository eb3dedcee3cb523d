/* What a result of ours says of itself in its root attributes, for who reads it back. Rank 0 alone, HDF5
 * silenced by the caller. */
#ifndef TRM_STORE_RESULT_ROOT_H
#define TRM_STORE_RESULT_ROOT_H

#include "store/loss_files.h"
#include "store/sources.h"

/* Looks at a part of an open file and notes what it finds. Errors: DATA. */
typedef trm_status (*trm_result_look_fn)(const trm_named_file *about, trm_sources *sources, hid_t file,
                                         void *found, trm_error *err);

/* Opens an input, looks at its format and then at its contents; it may come from anywhere, but one that says that it is
 * not complete is refused. origin: what it says of the store that it was made from. Errors: as trm_inspect_open, DATA,
 * what the looks return. */
trm_status trm_result_inspect(const trm_named_file *about, trm_sources *sources, trm_result_look_fn format,
                              trm_result_look_fn contents, void *found, trm_triplets_origin *origin,
                              trm_error *err) TRM_MUST_CHECK;

#endif
