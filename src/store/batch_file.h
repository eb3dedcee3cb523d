/* Files of batches: lists of row ids, as /batches/start (B + 1) and /batches/row, both int64: batch b has the rows
 * row[start[b]] to row[start[b + 1] - 1]. Alone, or with the triplets that were mined inside them, in the order
 * of the batches and inside each as the form has it (forms.h), with a column /triplets/batch or /lists/batch. */
#ifndef TRM_STORE_BATCH_FILE_H
#define TRM_STORE_BATCH_FILE_H

#include "store/loss_files.h"
#include "trimine/batches.h"

#define TRM_BATCH_LIST_FORMAT "trimine-batches"

/* This rank's triplets, in the arrays that they came in. Begin with all 0 but the budget and its option. */
typedef struct trm_batch_triplets {
    int64_t budget;    /* bytes that they may take; 0: any */
    const char *limit; /* the option that raises it; borrowed */
    int64_t count;
    int64_t blocks, room;
    struct trm_batch_block {
        trm_triplet *triplets;
        int64_t count;
    } * block;
} trm_batch_triplets;

/* A trm_triplet_fn that takes the array, which has the triplets of whole batches: context is a trm_batch_triplets. Not
 * collective. Errors: MEMORY. */
trm_status trm_batch_triplets_add(void *context, trm_triplet **triplets, int64_t count,
                                  trm_error *err) TRM_MUST_CHECK;
/* Shows look all of them, some at a time: a trm_walk_fn (mine/statistics.h). Not collective. Errors: MEMORY. */
trm_status trm_batch_triplets_walk(void *triplets,
                                   void (*look)(void *looker, const trm_triplet *triplets, int64_t count),
                                   void *looker, trm_error *err) TRM_MUST_CHECK;
/* The bytes that so many take, with what writing them takes. Not collective. */
int64_t trm_batch_triplets_bytes(trm_form form, int64_t negatives, int64_t triplets);
void trm_batch_triplets_free(trm_batch_triplets *triplets);

/* Writes the lists of batches alone, with names and attributes as trm_gradient_write does. Collective. Errors: as
 * there. */
trm_status trm_batches_write(MPI_Comm comm, trm_claim *claim, const trm_batches *batches, int attributes,
                             const trm_attribute *attribute, trm_error *err) TRM_MUST_CHECK;

/* Writes the lists of batches with the triplets that were mined inside them, in a form; negatives: the most that an
 * (anchor, positive) has. arrays, names and attributes: as trm_triplet_file_finish. Sorts triplets. Collective. Errors:
 * as there. */
trm_status trm_batches_write_triplets(MPI_Comm comm, trm_claim *claim, trm_form form, int64_t negatives,
                                      const trm_batches *batches, trm_batch_triplets *triplets, int arrays,
                                      const trm_output_array *array, const trm_names *names, int attributes,
                                      const trm_attribute *attribute, trm_error *err) TRM_MUST_CHECK;

/* Reads the lists of such a file, or of one that somebody else made with these two datasets, of any integer
 * type; or of a text file (batch_text.h). Each rank gets its trm_share of the batches, whose rows are sorted. Row ids are not checked against
 * anything. Collective. The caller owns what is in *batches (trm_batches_free). Errors: as trm_triplets_read,
 * and DATA for starts that do not ascend from 0 to the number of rows. */
trm_status trm_batches_read(MPI_Comm comm, const char *path, trm_batches *batches, int64_t *total,
                            trm_triplets_origin *origin, trm_error *err) TRM_MUST_CHECK;

#endif
