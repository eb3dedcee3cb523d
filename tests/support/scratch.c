/* Scratch folders; see scratch.h. */
#include "support/scratch.h"

#include <dirent.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int rank, ranks;
char folder[200];

void start_mpi(int *argc, char ***argv, unsigned seconds)
{
    int provided;
    alarm(seconds);
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
}

bool everywhere(bool here)
{
    int value = here ? 1 : 0;
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return value == 1;
}

const char *in_folder(const char *name)
{
    static char buffer[8][300];
    static int next;
    next = (next + 1) % 8;
    snprintf(buffer[next], sizeof buffer[0], "%s/%s", folder, name);
    return buffer[next];
}

int make_folder(void **state)
{
    (void)state;
    if (rank == 0) {
        const char *root = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%.150s/trimine-test-XXXXXX", root != NULL ? root : "/tmp");
        if (mkdtemp(folder) == NULL)
            MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Bcast(folder, sizeof folder, MPI_CHAR, 0, MPI_COMM_WORLD);
    return 0;
}

int remove_folder(void **state)
{
    (void)state;
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) {
        char command[256];
        snprintf(command, sizeof command, "rm -rf '%s'", folder);
        if (system(command) != 0)
            return 1;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    return 0;
}

int leftovers(void)
{
    int found = 0;
    if (rank == 0) {
        DIR *stream = opendir(folder);
        for (struct dirent *item = readdir(stream); item != NULL; item = readdir(stream))
            found += strstr(item->d_name, "trimine-") != NULL;
        closedir(stream);
    }
    return found;
}
