/* What tests of files share: a scratch folder that all ranks know, and verdicts that all ranks reach
 * together. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <stdbool.h>

/* This process among all, valid after start_mpi or make_folder; and the folder, after that. */
extern int rank, ranks;
extern char folder[200];

/* Starts MPI, and a clock that ends a test that hangs. */
void start_mpi(int *argc, char ***argv, unsigned seconds);

/* True only if true on every rank: so that all ranks leave a failing test together. */
bool everywhere(bool here);

/* The path of a name in the folder; good for the next seven calls. */
const char *in_folder(const char *name);

/* Setup and teardown for cmocka. Collective. */
int make_folder(void **state);
int remove_folder(void **state);

/* Names in the folder that are trimine's own (on rank 0; 0 elsewhere). */
int leftovers(void);

#endif
