/* An output file on its way: a draft (claim.h) until it is complete, checked and on the disk.
 *
 * Rank 0 alone makes the file and its datasets, with serial HDF5; these are contiguous and allocated at once,
 * so that every rank then writes its values where they belong as plain bytes (plain.h says why). Everything
 * that fails is agreed on and returned, and the draft removed. */
#ifndef TRM_STORE_OUTPUT_H
#define TRM_STORE_OUTPUT_H

#include "store/claim.h"
#include "base/names.h"
#include "store/h5.h"
#include "store/result.h"

typedef struct trm_output {
    MPI_Comm comm; /* borrowed */
    trm_draft draft;
    hid_t file; /* rank 0's; -1 elsewhere */
} trm_output;

/* Where the values of a dataset are. */
typedef struct trm_output_place {
    int64_t offset; /* in the file; < 0 where there are none */
    int64_t size;   /* bytes a value */
} trm_output_place;

#define TRM_OUTPUT_INIT                                                                                      \
    {                                                                                                        \
        MPI_COMM_NULL, TRM_DRAFT_INIT, -1                                                                    \
    }

/* Fails with IO, naming needed and free bytes, if the claim's folder can't take bytes more. Rank 0's view,
 * agreed. Collective. */
trm_status trm_output_room(const trm_claim *claim, int64_t bytes, trm_error *err) TRM_MUST_CHECK;

/* Creates the draft. Collective on comm. */
trm_status trm_output_create(MPI_Comm comm, trm_claim *claim, int64_t bytes, trm_output *out,
                             trm_error *err) TRM_MUST_CHECK;

/* A group without timestamps; a contiguous dataset, allocated at once and not filled. Collective. type: of
 * the file, which must be this machine's own. */
trm_status trm_output_group(trm_output *out, const char *name, trm_error *err) TRM_MUST_CHECK;
trm_status trm_output_dataset(trm_output *out, const char *name, hid_t type, int rank, const hsize_t *size,
                              trm_output_place *place, trm_error *err) TRM_MUST_CHECK;

/* Writes values [first, first + count) of a dataset. Not collective: the caller agrees. Errors: IO. */
trm_status trm_output_write(trm_output *out, trm_output_place place, int64_t first, int64_t count,
                            const void *data, trm_error *err) TRM_MUST_CHECK;

/* A dataset of names, as variable-length UTF-8: a long one among many costs its own length, no more. names
 * (rank 0's; NULL: there are none): a NUL within one becomes \x00. Collective. */
trm_status trm_output_names(trm_output *out, const char *name, const trm_names *names,
                            trm_error *err) TRM_MUST_CHECK;

/* A fixed-length text, int64 or float64 attribute of an object. Collective. */
trm_status trm_output_attribute(trm_output *out, const char *object, const trm_attribute *attribute,
                                trm_error *err) TRM_MUST_CHECK;

/* What must be found again when the finished file is opened: a dataset and its length. */
typedef struct trm_output_check_item {
    const char *name;
    int64_t rows;
} trm_output_check_item;

/* All to the disk; attributes, "complete" = 1 last; check, fsync, rename. Collective. */
trm_status trm_output_commit(trm_output *out, int attributes, const trm_attribute *attribute, int items,
                             const trm_output_check_item *item, trm_error *err) TRM_MUST_CHECK;

/* Array data: bytes of all ranks together (INT64_MAX / 2 where they are more), for the check of free space;
 * and writing it, groups made as names ask for. Collective. */
int64_t trm_output_arrays_bytes(int arrays, const trm_output_array *array);
/* Makes one's dataset, and its groups, for who writes the values in another order; first, count and data of it are not
 * looked at. Collective. */
trm_status trm_output_array_make(trm_output *out, const trm_output_array *array, trm_output_place *place,
                                 trm_error *err) TRM_MUST_CHECK;
trm_status trm_output_arrays_write(trm_output *out, int arrays, const trm_output_array *array,
                                   trm_error *err) TRM_MUST_CHECK;
/* Room that names take. */
int64_t trm_output_names_bytes(const trm_names *names);
/* Writes names as /label_names (NULL: none), then trm_output_commit, which looks for all of it. */
trm_status trm_output_arrays_commit(trm_output *out, int items, const trm_output_check_item *item, int arrays,
                                    const trm_output_array *array, const trm_names *names, int attributes,
                                    const trm_attribute *attribute, trm_error *err) TRM_MUST_CHECK;

/* Frees; removes the draft where it was not committed. Collective. */
void trm_output_close(trm_output *out);

#endif
