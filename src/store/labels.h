/* Labels as a store has them: numbers, or names that stand for numbers.
 *
 * Whatever a store's labels are, the rest of the program knows an int64 a row. Whole numbers are themselves;
 * a uint64 over INT64_MAX is the negative number with the same bits. Names (texts, and the names of an enum)
 * are numbered 0, 1, ... in the order of their bytes, over all files and all ranks; to know them all takes a
 * look at every label first, which the first trm_store_read of labels does. */
#ifndef TRM_STORE_LABELS_H
#define TRM_STORE_LABELS_H

#include "base/names.h"
#include "trimine/store.h"

typedef struct trm_labels {
    trm_label_kind kind;
    trm_names names; /* of TRM_LABELS_NAMED, sorted */
} trm_labels;

enum { TRM_LABEL_TEXT = 80 };

/* A label as people know it: -1, or 'cat' in quotes, cut and with nothing that moves a terminal. */
const char *trm_labels_text(const trm_labels *labels, int64_t label, char text[TRM_LABEL_TEXT]);

/* What messages call a file: "store" or, of those of queries, "queries". */
static inline const char *trm_file_kind(const trm_store_file *file)
{
    return file->queries ? "queries" : "store";
}

/* The file that a row of the store is in; borrowed. Not collective. */
const trm_store_file *trm_file_of_row(const trm_store *store, int64_t row);

/* The label that a word of a command line stands for. Where labels are names it is the name, to the byte;
 * *known is false where no row has it. Where they are numbers it must be one (USAGE). */
trm_status trm_labels_parse(const trm_labels *labels, const char *word, int64_t *label, bool *known,
                            trm_error *err) TRM_MUST_CHECK;

/* What a set of rows has for ids. */
typedef enum trm_ids_kind {
    TRM_IDS_NONE,
    TRM_IDS_NUMBERS,
    TRM_IDS_UNSIGNED, /* their bits are those of a uint64 */
    TRM_IDS_NAMES
} trm_ids_kind;

static inline bool trm_ids_are_numbers(trm_ids_kind kind)
{
    return kind == TRM_IDS_NUMBERS || kind == TRM_IDS_UNSIGNED;
}

/* queries: of those, else of the store's own rows. Not collective. */
trm_ids_kind trm_store_ids(const trm_store *store, bool queries);
/* Ids that are names, of rows [first, first + count) of one set, appended to names. Collective. Errors: as trm_store_read. */
trm_status trm_store_read_names(trm_store *store, int64_t first, int64_t count, trm_names *names,
                                trm_error *err) TRM_MUST_CHECK;

/* What a store knows of its labels once they have been read; borrowed until it is closed. taken: it is the
 * caller's from now on (trm_labels_free), and the store has none. */
const trm_labels *trm_store_labels(const trm_store *store);
trm_labels trm_store_take_labels(trm_store *store);
void trm_labels_free(trm_labels *labels);

#endif
