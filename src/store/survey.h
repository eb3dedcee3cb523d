/* What rank 0 finds out of a store's files while it is opened; store_open.c looks at rows, side_file.c at labels and ids in files
 * of their own. Nothing here is collective. */
#ifndef TRM_STORE_SURVEY_H
#define TRM_STORE_SURVEY_H

#include "store/store_inner.h"

enum { TRM_SURVEY_NAME = 512 };

/* What an option says of the labels, or ids, of a path. */
typedef struct trm_choice {
    const char *option; /* as given, borrowed; NULL: nothing is */
    bool of_store;      /* of queries: it was said of the store */
    int side;           /* the file that it is, in the survey's; -1: it is none */
} trm_choice;

typedef struct trm_survey {
    trm_store_entry *entry;
    int files, room;
    char *names;
    int64_t used, size;
    int64_t rows, base_rows, dim;
    int base_files;    /* before those of queries */
    bool lacks_labels; /* a file has none, and need not: they are of no use */
    trm_sources sources;
    int paths, path; /* that were given; a folder is one of several files. path: the one at hand */
    trm_choice *choice[TRM_SIDES]; /* of each path */
    trm_side_file *side;
    int sides, side_room;
} trm_survey;

/* Offset of a copy of text (behind lead) in the survey's names, or -1. */
int64_t trm_survey_keep(trm_survey *found, const char *lead, const char *text);
/* The first file that has rows, which the others have to be like; NULL: there is none yet. */
const trm_store_entry *trm_survey_first(const trm_survey *found);

/* What is said of each path's labels and ids, before any file is looked at. Errors: MEMORY; USAGE: as many as neither one nor
 * the paths of the set. */
trm_status trm_sides_choose(int paths, const trm_store_options *options, trm_survey *found,
                            trm_error *err) TRM_MUST_CHECK;
/* Looks at the files among them once it is known how many rows they are for, and gives the entries what was found. Errors:
 * DATA, as trm_matrix_look and trm_label_text_look; labels, or ids of a set, of two sorts; MEMORY; as
 * trm_inspect_regular. */
trm_status trm_sides_look(trm_survey *found, trm_error *err) TRM_MUST_CHECK;
/* Is any path's in a file of its own? */
bool trm_sides_any(const trm_survey *found, trm_side_kind kind);
void trm_survey_free(trm_survey *found);

#endif
