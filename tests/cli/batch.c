/* The program, many times in one start of MPI: what a test of hundreds of refusals or damaged files runs,
 * since a start takes longer than most of them.
 *
 * Reads requests from stdin, each a row of fields that end in NUL: the number of fields that follow, the
 * folder to run in, the files for stdout and stderr, and the arguments. Each request is a child that runs the
 * program's own main() as it is, except that MPI is up already and not ended; so a crash is one of that child
 * alone. Answers with a line: the exit code, or 128 plus the signal that ended it, as a shell would say it.
 * One process only: children of several ranks can't talk to each other. */
#include <fcntl.h>
#include <mpi.h>
#include <signal.h>
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
static char *next_field(void)
{
    char *field = NULL;
    size_t size = 0;
    if (getdelim(&field, &size, '\0', stdin) > 0)
        return field;
    free(field);
    return NULL;
}

/* The child: never returns. */
static void run(int count, char **field)
{
    static char name[] = "trimine";
    char *argv[FIELDS + 2] = {name};
    const int in = open("/dev/null", O_RDONLY), out = open(field[OUT], O_WRONLY | O_CREAT | O_TRUNC, 0666),
              err = open(field[ERR], O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (in < 0 || out < 0 || err < 0 || chdir(field[FOLDER]) != 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
        dup2(err, 2) < 0)
        _exit(126);
    close(in);
    close(out);
    close(err);
    int argc = 1;
    for (int i = ARGUMENTS; i < count; i++)
        argv[argc++] = field[i];
    environ = field + count;
    alarm(HANGS_S);
    const int code = trimine_main(argc, argv);
    fflush(NULL);
    _exit(code);
}

int main(int argc, char **argv)
{
    int provided = 0;
    char *field[FIELDS + 1], *numbers;
    if (MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return 69;
    while ((numbers = next_field()) != NULL) {
        char *rest = NULL;
        const int count = (int)strtol(numbers, &rest, 10), all = count + (int)strtol(rest, NULL, 10);
        int status = 0, got = 0;
        free(numbers);
        if (count < ARGUMENTS || all < count || all > FIELDS)
            return 64;
        while (got < all && (field[got] = next_field()) != NULL)
            got++;
        field[got] = NULL;
        const pid_t child = got < all ? -1 : fork();
        if (child == 0)
            run(count, field);
        if (child < 0 || waitpid(child, &status, 0) != child)
            return 71;
        printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        fflush(stdout);
        while (got > 0)
            free(field[--got]);
    }
    MPI_Finalize();
    return 0;
}
