/* One option after the other, of several tables.
 *
 * Who takes options (a kind of job, a command of the program) lists the tables, and where in its settings each
 * table's are. */
#ifndef TRM_OPTIONS_WALK_H
#define TRM_OPTIONS_WALK_H

#include "options/option.h"

enum { TRM_OPTIONS_MOST = 160 }; /* rows of all the tables of one list */

/* A table of options, and where its settings are. */
typedef struct trm_taken {
    const trm_options *options;
    size_t at;
} trm_taken;

/* One whose settings are the struct itself, or a member of it. */
#define TRM_TAKE(table)                                                                                      \
    {                                                                                                        \
        &(table), 0                                                                                          \
    }
#define TRM_TAKE_OF(table, settings, member)                                                                 \
    {                                                                                                        \
        &(table), offsetof(settings, member)                                                                 \
    }

/* Tables in the order of --help, of checks and, for new keys, of reports. */
typedef struct trm_takes {
    const trm_taken *taken;
    int tables;
} trm_takes;
#define TRM_TAKES(array)                                                                                     \
    {                                                                                                        \
        .taken = (array), .tables = (int)(sizeof(array) / sizeof *(array))                                   \
    }

/* Begin with trm_walk_of. first, then second, which may have none. */
typedef struct trm_walk {
    const trm_takes *part[2];
    const trm_options *options; /* the table, the row, where its settings are, its number */
    const trm_option *option;
    size_t at;
    int which;                    /* of part */
    int number, table, row, next; /* table, row, next: of the row that comes */
} trm_walk;

/* Not collective. */
trm_walk trm_walk_of(const trm_takes *takes);
/* To the next row; false: there is none. */
bool trm_walk_next(trm_walk *walk);
/* To the option of that name, or, where name is NULL, of that letter; false: there is none. */
bool trm_walk_find(trm_walk *walk, const char *name);
bool trm_walk_find_part(trm_walk *walk, const char *name, size_t length, char letter);

#endif
