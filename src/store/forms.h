/* The forms of a result of mine: which datasets it has, and how triplets become their values.
 *
 * One table says it for who writes them, who reads them back and who tells of them. A form has lines: of
 * TRM_FORM_TRIPLETS each is a triplet, of TRM_FORM_LISTS the K negatives of one (anchor, positive). What is
 * written is in the order of anchors, so a line's place depends on the triplets alone. */
#ifndef TRM_STORE_FORMS_H
#define TRM_STORE_FORMS_H

#include "store/output.h"

/* Writing: inside trm_form_result, one trm_form_write a chunk of anchors, in ascending order; or of batches, parts in
 * any order. */
typedef struct trm_form_writer {
    trm_output *out; /* borrowed */
    trm_form form;
    int64_t negatives; /* K of lists */
    int64_t anchors;   /* row ids that an anchor may have: 0 to anchors - 1 */
    int64_t lines;     /* in all */
    bool
        batched; /* lines are of batches, and in their order: each has its batch's number, anchors have no starts */
    int64_t written; /* lines of the chunks before */
    trm_output_place place[TRM_COLUMNS], starts, batch;
} trm_form_writer;

/* Batches first, first + 1, ... of those in the file: batch k of count has triplets start[k] - start[0] to
 * start[k + 1] - start[0] - 1 of those that are being written. */
typedef struct trm_form_batches {
    int64_t first, count;
    const int64_t *start;
} trm_form_batches;

/* Does the triplet begin a line? Each line has exactly one that does, its first in rank. */
bool trm_form_begins(trm_form form, const trm_triplet *triplet);

/* Bytes of the datasets in the file; the least bytes in memory that a write takes beside the triplets. */
int64_t trm_form_file_bytes(const trm_form_writer *writer);
int64_t trm_form_buffer_bytes(trm_form form, int64_t negatives);

/* Writes the triplets of the anchors [from, to), count of them, all of these anchors that there are; sorts
 * them. Each rank has anchors of its own, rank r's above those of rank r - 1; a rank may have none. Collective.
 * Errors: INTERNAL (ranks of a line that are not 1, 2, ...), IO, MEMORY. */
trm_status trm_form_write(trm_form_writer *writer, trm_triplet *triplets, int64_t count, int64_t from,
                          int64_t to, trm_error *err) TRM_MUST_CHECK;

/* Writes the triplets of whole batches, of which this rank may write several parts; sorts them in each batch. *line: where
 * the first line goes, and after it where the next one does. Not collective: the caller agrees. Errors: as above. */
trm_status trm_form_write_batches(trm_form_writer *writer, trm_triplet *triplets, trm_form_batches batches,
                                  int64_t *line, trm_error *err) TRM_MUST_CHECK;

/* A whole result: makes the file and the datasets, has fill write the triplets, then writes the arrays (0, NULL for
 * none), names and attributes, and puts it in place. The caller fills in the writer from form to batched. Collective.
 * Errors: IO, MEMORY, what fill returns. */
typedef trm_status (*trm_form_fill_fn)(void *context, trm_form_writer *writer, trm_error *err);
trm_status trm_form_result(MPI_Comm comm, trm_claim *claim, trm_form_writer *writer, trm_form_fill_fn fill,
                           void *context, int arrays, const trm_output_array *array, const trm_names *names,
                           int attributes, const trm_attribute *attribute, trm_error *err) TRM_MUST_CHECK;

#endif
