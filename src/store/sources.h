/* Every file that an input leads to: external links on the way to a dataset, files that hold its data
 * (external storage), sources of virtual datasets, and what these lead to in turn.
 *
 * HDF5 opens such files by itself, without a word: a pipe among them would hang the job for ever, and a
 * source of a virtual dataset that is not there is read as zeros. So the way to a dataset is walked here
 * first, link by link, as HDF5 would walk it; each file is looked at before HDF5 touches it, and is
 * remembered, so that a change of any of them during a read is noticed. On one rank alone; HDF5 silenced by
 * the caller. */
#ifndef TRM_STORE_SOURCES_H
#define TRM_STORE_SOURCES_H

#include "base/error.h"
#include "store/h5.h"

/* A file as messages name it: KIND 'PATH'. Both borrowed. */
typedef struct trm_named_file {
    const char *kind; /* "store", "triplets", ... */
    const char *path;
} trm_named_file;

/* A file as it was before anything of it was read. */
typedef struct trm_source_file {
    char *path, *input;      /* input: the file that led here, or NULL where it was given itself */
    int64_t bytes, modified; /* size and last change, in ns */
} trm_source_file;

typedef struct trm_sources {
    trm_source_file *file;
    int64_t count, room;
} trm_sources;

#define TRM_SOURCES_INIT                                                                                     \
    {                                                                                                        \
        NULL, 0, 0                                                                                           \
    }

/* Looks at the input itself: to be called first, before it is opened. Errors: MEMORY. */
trm_status trm_sources_add_input(trm_sources *sources, const trm_named_file *about,
                                 trm_error *err) TRM_MUST_CHECK;

/* What a path leads to. */
typedef enum trm_found_kind {
    TRM_FOUND_NOTHING, /* no link of that name */
    TRM_FOUND_DATASET,
    TRM_FOUND_GROUP,
    TRM_FOUND_OTHER
} trm_found_kind;

typedef struct trm_found {
    trm_found_kind kind;
    hid_t object; /* open; negative for nothing, and after an error. trm_h5_close closes it */
} trm_found;

/* Finds path from the root of an open file. Of a dataset all that holds its data is looked at, too: when it
 * is found, it can be read. Errors: MEMORY, PERMISSION; DATA, naming link, file and cause: a link that leads
 * nowhere or in a circle, a file that is missing, no regular file, or can't be opened as HDF5; a filter that
 * HDF5 does not have; a virtual dataset with a source that is missing or too short, or with parts that no
 * source fills; external storage that is too short. */
trm_status trm_sources_find(trm_sources *sources, const trm_named_file *about, hid_t file, const char *path,
                            trm_found *found, trm_error *err) TRM_MUST_CHECK;

/* Did a file change since it was looked at? Rows of two versions would be an input that never was. Errors:
 * DATA. */
trm_status trm_sources_check_unchanged(const trm_sources *sources, const char *kind,
                                       trm_error *err) TRM_MUST_CHECK;

void trm_sources_free(trm_sources *sources);

/* ---- for sources.c and storage.c ---- */

/* Where a search is: for whom, in which file, and how many virtual datasets deep. */
typedef struct trm_search {
    trm_sources *sources;
    const trm_named_file *about; /* the input */
    const char *path;            /* the file that the search is in now */
    int depth;
} trm_search;

/* Where the search is, as messages go on after a name: " of 'FILE'", or nothing in the input itself. */
enum { TRM_SEARCH_WHERE = 200 };
const char *trm_search_where(const trm_search *search, char text[TRM_SEARCH_WHERE]);

/* As trm_sources_find, from any object of the file at search->path. */
trm_status trm_search_find(const trm_search *search, hid_t from, const char *path, trm_found *found,
                           trm_error *err) TRM_MUST_CHECK;

/* What leads to another HDF5 file; HDF5 looks for it in other places for each. */
typedef enum trm_search_kind { TRM_SEARCH_LINK, TRM_SEARCH_VIRTUAL } trm_search_kind;

/* Opens the file that name leads to, where HDF5 would find it. link: what leads there, for messages. *path is
 * its path in new memory. Where there is no such file, *file is negative and *path NULL. Errors: as
 * trm_sources_find. */
trm_status trm_search_open(const trm_search *search, const char *name, trm_search_kind kind, const char *link,
                           char **path, hid_t *file, trm_error *err) TRM_MUST_CHECK;

/* The one path where HDF5 looks for a file of external storage, new memory or NULL; prefix: the folder or
 * NULL. */
char *trm_search_prefixed(const trm_search *search, const char *name, const char *prefix);

/* A file that is read as it is, at exactly this path, needs that many bytes. Errors: as trm_sources_find. */
trm_status trm_search_plain(const trm_search *search, const char *path, const char *link, int64_t bytes,
                            trm_error *err) TRM_MUST_CHECK;

/* Looks at all that holds the data of a dataset; storage.c. name: for messages. Errors: as trm_sources_find.
 */
trm_status trm_search_storage(const trm_search *search, hid_t dataset, const char *name,
                              trm_error *err) TRM_MUST_CHECK;

#endif
