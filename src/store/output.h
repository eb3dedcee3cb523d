/* An output file on its way: temporary beside the target until it is complete, checked and on the disk.
 *
 * Rank 0 alone makes the file and its datasets, with serial HDF5; these are contiguous and allocated at once,
 * so that every rank then writes its values where they belong as plain bytes (plain.h says why). Everything
 * that fails is agreed on and returned, and the temporary file removed. */
#ifndef TRM_STORE_OUTPUT_H
#define TRM_STORE_OUTPUT_H

#include "store/h5.h"
#include "store/result.h"

typedef struct trm_output {
    MPI_Comm comm; /* borrowed */
    char *target;  /* as given */
    char *temporary;
    hid_t file; /* rank 0's; -1 elsewhere */
    int bytes;  /* the same file, as all ranks write to it */
} trm_output;

/* Where the values of a dataset are. */
typedef struct trm_output_place {
    int64_t offset; /* in the file; < 0 where there are none */
    int64_t size;   /* bytes a value */
} trm_output_place;

#define TRM_OUTPUT_INIT                                                                                      \
    {                                                                                                        \
        MPI_COMM_NULL, NULL, NULL, -1, -1                                                                    \
    }

/* ".NAME.trimine-WHAT" in the target's folder, new memory or NULL; the folder itself ("." where path names
 * none). */
char *trm_output_beside(const char *path, const char *what);
char *trm_output_folder(const char *path);
/* The file's name in it: a part of path. */
const char *trm_output_name(const char *path);

/* Brings a finished file to the disk and gives it its name, for good. Not collective. Errors: IO, CREATE. */
trm_status trm_output_rename(const char *temporary, const char *target, trm_error *err) TRM_MUST_CHECK;

/* Fails with IO, naming needed and free bytes, if the target's folder can't take bytes more. Rank 0's view,
 * agreed. Collective. */
trm_status trm_output_room(MPI_Comm comm, const char *path, int64_t bytes, trm_error *err) TRM_MUST_CHECK;

/* Creates the temporary file. Collective on comm; path equal on all ranks. */
trm_status trm_output_create(MPI_Comm comm, const char *path, int64_t bytes, trm_output *out,
                             trm_error *err) TRM_MUST_CHECK;

/* A group without timestamps; a contiguous dataset, allocated at once and not filled. Collective. type: of
 * the file, which must be this machine's own. */
trm_status trm_output_group(trm_output *out, const char *name, trm_error *err) TRM_MUST_CHECK;
trm_status trm_output_dataset(trm_output *out, const char *name, hid_t type, int rank, const hsize_t *size,
                              trm_output_place *place, trm_error *err) TRM_MUST_CHECK;

/* Writes values [first, first + count) of a dataset. Not collective: the caller agrees. Errors: IO. */
trm_status trm_output_write(trm_output *out, trm_output_place place, int64_t first, int64_t count,
                            const void *data, trm_error *err) TRM_MUST_CHECK;

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
trm_status trm_output_arrays_write(trm_output *out, int arrays, const trm_output_array *array,
                                   trm_error *err) TRM_MUST_CHECK;
/* trm_output_commit, which looks for the arrays too. */
trm_status trm_output_arrays_commit(trm_output *out, int items, const trm_output_check_item *item, int arrays,
                                    const trm_output_array *array, int attributes,
                                    const trm_attribute *attribute, trm_error *err) TRM_MUST_CHECK;

/* Frees; removes the temporary file where it was not committed. Collective. */
void trm_output_close(trm_output *out);

#endif
