/* A job's claim on a path that it will write, and the drafts that it writes there.
 *
 * A claim is taken before any work and held to the end. Its sign is a lock on a file beside the target,
 * .NAME.trimine-lock, which says who holds it; the system lets go of the lock when the process ends, however
 * it ends. So a second job with the same target is refused at its start, and what a killed job left behind
 * (its lock file, its drafts) is recognised by nobody holding it, and removed.
 *
 * A draft is the new file while it is being written: .NAME.trimine-tmp- and 24 digits, of which the first 8
 * stand for this host and the others are random. It is made by this job (O_EXCL, links not followed), written
 * and checked through the descriptor from then on, and gets the target's name only while its own name still
 * leads to it. A job never touches a file at these names that it did not make, unless nobody holds it.
 *
 * On file systems without locks jobs go on without: each has drafts of its own, and the last rename wins.
 * Some file systems have locks that other hosts do not see. Therefore a draft of another host is left alone
 * until it has not changed for a day. A lock file is always taken over when its lock is free: where the other
 * job is alive after all, both end well as without locks.
 *
 * A target that is a symbolic link is followed once, at the start: from then on the target is a name in a
 * folder that is held open. */
#ifndef TRM_STORE_CLAIM_H
#define TRM_STORE_CLAIM_H

#include "base/error.h"
#include "store/result.h"

#include <limits.h>
#include <mpi.h>
#include <stdbool.h>

struct trm_claim {
    MPI_Comm comm; /* borrowed */
    const char *kind;
    char *path;   /* as given */
    char *folder; /* of the target, links followed */
    char *name;   /* of the target in it */
    char *target; /* both: folder/name */
    bool replace; /* may a file of that name be replaced? */
    bool looks;   /* it is no more than looked at what taking it would find */
    bool after_kill, replaced, unwritten, kept_elsewhere;
    bool borrowed;       /* directory and lock are another claim's */
    int directory, lock; /* rank 0's; -1 elsewhere. lock: -1 also where locks don't work */
    trm_claim *next;     /* of those that this process has */
};

/* A new file on its way. file: the same file on all ranks; rank 0's holds it until it is closed. */
typedef struct trm_draft {
    MPI_Comm comm;
    trm_claim *claim; /* borrowed */
    int file;
    char name[NAME_MAX + 1];
} trm_draft;

#define TRM_DRAFT_INIT                                                                                       \
    {                                                                                                        \
        MPI_COMM_NULL, NULL, -1,                                                                             \
        {                                                                                                    \
            0                                                                                                \
        }                                                                                                    \
    }

/* Of path: its folder ("." where it names none), new memory or NULL; its last name, a part of path. */
char *trm_path_folder(const char *path);
const char *trm_path_name(const char *path);
/* Does it end so? Capitals are as good. */
bool trm_path_ends(const char *path, const char *suffix);
/* Is a file of that name lines of JSON (.jsonl, .json, .ndjson); is it a table (.csv, .tsv)? */
bool trm_path_is_json(const char *path);
bool trm_path_is_table(const char *path);
/* Who calls an output that is HDF5 after something else means something else, and would find out when the job is done. rule: what it
 * is to be. Errors: USAGE. */
trm_status trm_path_check_hdf5(const char *path, const char *rule, trm_error *err) TRM_MUST_CHECK;
/* Of FILE:COLUMN the colon. Names of columns may have some, too: it is the last one behind the name of a table or of lines of JSON;
 * where there is no such name the last one of all. NULL: none. */
const char *trm_path_colon(const char *text);
/* Where a path leads when links in its last name are followed, whether there is a file or not: folder and
 * name, new memory. Errors: USAGE, CREATE, PERMISSION, MEMORY. Not collective. */
trm_status trm_path_resolve(const char *kind, const char *path, char **folder, char **name,
                            trm_error *err) TRM_MUST_CHECK;
/* ".NAME.trimine-WHAT", shortened where a name can't be so long. */
void trm_name_beside(const char *name, const char *what, char beside[NAME_MAX + 1]);
/* Is it such a name? Then no output may have it: it may be a running job's. */
bool trm_name_is_own(const char *name);
/* Does that name in an open folder lead to this open file? */
bool trm_name_leads_to(int directory, const char *name, int file);
/* The 8 digits of this host. */
void trm_host_digits(char digits[9]);
/* Tries to lock an open file for this process: TAKEN, HELD by another, or NONE where locks don't work. */
typedef enum trm_lock { TRM_LOCK_TAKEN, TRM_LOCK_HELD, TRM_LOCK_NONE } trm_lock;
trm_lock trm_lock_try(int file);

/* Removes the lock files of all claims of this process, which is about to be aborted. Not collective. */
void trm_claims_drop(void);
/* Removes drafts of the target, and of its parts (trm_claim_part), that killed jobs left. Whether there were
 * any, also such as are left alone. Rank 0. */
bool trm_drafts_clean(const trm_claim *claim);
/* Makes a draft and opens it on all ranks. Collective. Errors: CREATE, PERMISSION, IO. */
trm_status trm_draft_open(MPI_Comm comm, trm_claim *claim, trm_draft *draft, trm_error *err) TRM_MUST_CHECK;
/* For libraries that open by name: a path to the open draft that no other file can get into. Rank 0. */
void trm_draft_path(const trm_draft *draft, char path[32]);
/* Brings the draft to the disk and gives it the target's name, for good. Rank 0; not collective. Errors: IO;
 * CREATE (a file came to be there that must not be replaced: the draft then is NAME.1 or so). */
trm_status trm_draft_place(trm_draft *draft, trm_error *err) TRM_MUST_CHECK;
/* Closes; removes a draft that was not placed. Not collective. */
void trm_draft_close(trm_draft *draft);
/* A file of this rank's own in the claim's folder, without a name: it goes when it is closed. Not collective.
 * Errors: as trm_draft_open. */
trm_status trm_draft_nameless(const trm_claim *claim, int *file, trm_error *err) TRM_MUST_CHECK;

#endif
