/* The program, many times in one start of MPI: what a test of hundreds of refusals or damaged files runs,
 * since a start takes longer than most of them.
 *
 * Reads requests from stdin, each a row of fields that end in NUL: the number of fields that follow, the
 * folder to run in, the files for stdout and stderr, and the arguments. Each request is a child that runs the
 * program's own main() as it is, except that MPI is up already and not ended; so a crash is one of that child
 * alone. Answers with a line: the exit code, or 128 plus the signal that ended it, as a shell would say it.
 *
 * On several ranks there are no children, since they could not talk to each other: main() runs in the ranks themselves, one
 * request after the other, and what crashes or aborts ends the batch. The answer is the largest of the ranks' exit codes. */
#include <fcntl.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIELDS = 1024, FOLDER = 0, OUT, ERR, ARGUMENTS, HANGS_S = 900 };

extern char **environ;

/* src/cli/main.c's main, built with the other two in the place of MPI_Init_thread and MPI_Finalize */
int trimine_main(int argc, char **argv);
int batch_init(int *argc, char ***argv, int wanted, int *provided);
int batch_finalize(void);

int batch_init(int *argc, char ***argv, int wanted, int *provided)
{
    (void)argc, (void)argv;
    *provided = wanted;
    return MPI_SUCCESS;
}

int batch_finalize(void)
{
    return MPI_SUCCESS;
}

/* The next field, to be freed; NULL at the end. */
static char *next_field(FILE *requests)
{
    char *field = NULL;
    size_t size = 0;
    if (getdelim(&field, &size, '\0', requests) > 0)
        return field;
    free(field);
    return NULL;
}

/* Into the request's folder, with its files in the place of stdin, stdout and stderr. Ranks share them, so each writes at the end. */
static void redirect(char **field)
{
    const int in = open("/dev/null", O_RDONLY), out = open(field[OUT], O_WRONLY | O_CREAT | O_APPEND, 0666),
              err = open(field[ERR], O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (in < 0 || out < 0 || err < 0 || chdir(field[FOLDER]) != 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
        dup2(err, 2) < 0)
        _exit(126);
    close(in);
    close(out);
    close(err);
}

static int run(int count, char **field)
{
    static char name[] = "trimine";
    char *argv[FIELDS + 2] = {name};
    int argc = 1;
    redirect(field);
    for (int i = ARGUMENTS; i < count; i++)
        argv[argc++] = field[i];
    alarm(HANGS_S);
    const int code = trimine_main(argc, argv);
    fflush(NULL);
    alarm(0);
    return code;
}

/* ---- one process: a child a request ---- */

static int run_child(int count, char **field)
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        environ = field + count;
        _exit(run(count, field));
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        exit(71);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- several ranks ---- */

/* As many bytes as rank 0 says; the others sleep meanwhile. */
static void wait_for(void *bytes, int size)
{
    MPI_Request request;
    int done = 0;
    MPI_Ibcast(bytes, size, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
    for (MPI_Test(&request, &done, MPI_STATUS_IGNORE); !done; MPI_Test(&request, &done, MPI_STATUS_IGNORE))
        usleep(500);
}

static bool is_of_mpi(const char *variable)
{
    return strncmp(variable, "OMPI_", 5) == 0 || strncmp(variable, "PMIX_", 5) == 0;
}

static bool is_among(const char *variable, char **list)
{
    const size_t length = strcspn(variable, "=");
    for (; *list != NULL; list++)
        if (strncmp(*list, variable, length) == 0 && (*list)[length] == '=')
            return true;
    return false;
}

/* The request's variables, but for those by which MPI was started. */
static void take_environment(char **list)
{
    for (char **variable = environ; *variable != NULL;) {
        char name[FIELDS];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*variable, "="), *variable);
        if (!is_of_mpi(name) && !is_among(*variable, list)) {
            unsetenv(name);
            variable = environ;
        } else {
            variable++;
        }
    }
    for (; *list != NULL; list++) {
        char *is = strchr(*list, '=');
        if (is == NULL || is_of_mpi(*list))
            continue;
        *is = '\0';
        setenv(*list, is + 1, 1);
        *is = '=';
    }
}

/* Rank 0 has the fields, others get them. count 0: the end. */
static int run_together(int rank, int count, int all, char **field)
{
    int numbers[3] = {count, all, 0};
    char *packed = NULL, *own[FIELDS + 1];
    for (int i = 0; rank == 0 && i < all; i++)
        numbers[2] += (int)strlen(field[i]) + 1;
    wait_for(numbers, sizeof numbers);
    if (numbers[0] == 0)
        return -1;
    packed = malloc((size_t)numbers[2]);
    if (packed == NULL)
        exit(71);
    char *at = packed;
    for (int i = 0; rank == 0 && i < all; i++)
        at = stpcpy(at, field[i]) + 1;
    wait_for(packed, numbers[2]);
    at = packed;
    for (int i = 0; i < numbers[1]; i++, at += strlen(at) + 1)
        own[i] = at;
    own[numbers[1]] = NULL;
    take_environment(own + numbers[0]);
    int code = run(numbers[0], own), largest = 0;
    free(packed);
    MPI_Allreduce(&code, &largest, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    return largest;
}

int main(int argc, char **argv)
{
    int provided = 0, rank = 0, ranks = 1;
    char *field[FIELDS + 1], *numbers;
    if (MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return 69;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    while (rank > 0 && run_together(rank, 0, 0, NULL) >= 0)
        continue;
    FILE *requests = fdopen(dup(0), "r"), *answers = fdopen(dup(1), "w");
    if (requests == NULL || answers == NULL)
        return 71;
    while (rank == 0 && (numbers = next_field(requests)) != NULL) {
        char *rest = NULL;
        const int count = (int)strtol(numbers, &rest, 10), all = count + (int)strtol(rest, NULL, 10);
        int got = 0;
        free(numbers);
        if (count < ARGUMENTS || all < count || all > FIELDS)
            return 64;
        while (got < all && (field[got] = next_field(requests)) != NULL)
            got++;
        field[got] = NULL;
        if (got < all)
            return 71;
        fprintf(answers, "%d\n", ranks == 1 ? run_child(count, field) : run_together(0, count, all, field));
        fflush(answers);
        while (got > 0)
            free(field[--got]);
    }
    if (rank == 0 && ranks > 1)
        run_together(0, 0, 0, NULL);
    MPI_Finalize();
    return 0;
}
