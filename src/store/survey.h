/* What rank 0 finds out of a store's files while it is opened; store_open.c looks at rows, label_file.c at labels in files of
 * their own. Nothing here is collective. */
#ifndef TRM_STORE_SURVEY_H
#define TRM_STORE_SURVEY_H

#include "store/store_inner.h"

enum { TRM_SURVEY_NAME = 512 };

typedef struct trm_survey {
    trm_store_entry *entry;
    int files, room;
    char *names;
    int64_t used, size;
    int64_t rows, base_rows, dim;
    int base_files;    /* before those of queries */
    bool lacks_labels; /* a file has none, and need not: they are of no use */
    trm_sources sources;
    trm_label_file label_file[TRM_SETS];
} trm_survey;

/* Offset of a copy of text (behind lead) in the survey's names, or -1. */
int64_t trm_survey_keep(trm_survey *found, const char *lead, const char *text);
/* The first file that has rows, which the others have to be like; NULL: there is none yet. */
const trm_store_entry *trm_survey_first(const trm_survey *found);

/* What --labels says: a file, perhaps with a column of it. */
typedef struct trm_label_choice {
    char *path;         /* new memory; NULL: it is no file */
    const char *column; /* NULL: none is named */
} trm_label_choice;

/* Where each set's labels are, before any file is looked at: sets `given` of the survey's label files. Errors: MEMORY. */
trm_status trm_label_files_choose(const trm_store_options *options, trm_survey *found,
                                  trm_label_choice choice[TRM_SETS], trm_error *err) TRM_MUST_CHECK;
void trm_label_choices_free(trm_label_choice choice[TRM_SETS]);
/* Looks at them once it is known how many rows they are for, and gives the entries what was found. Errors: DATA, as
 * trm_matrix_look and trm_label_text_look; labels of two sorts; MEMORY; as trm_inspect_regular. */
trm_status trm_label_files_look(const trm_label_choice choice[TRM_SETS], trm_survey *found,
                                trm_error *err) TRM_MUST_CHECK;

#endif
