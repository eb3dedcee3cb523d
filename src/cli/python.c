/* Python as a process of its own; see python.h.
 *
 * The package lies beside the program: in build/PRESET/python of a build, in PREFIX/share/trimine/python where it was
 * installed. Where there is neither, it is looked for among Python's own packages. The current folder is not searched: a
 * numpy.py that lies there is a stranger's. */
#include "cli/python.h"

#include "base/alloc.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Arguments: the folder or "", the module, then those of main. Before anything is imported that Python has not imported
 * itself, the path loses the current folder, which an empty part of PYTHONPATH stands for, too; where PYTHONPATH names it, it stays. */
static const char starter[] =
    "import sys, os\n"
    "folder, module = sys.argv[1:3]\n"
    "named = os.environ.get('PYTHONPATH', '').split(os.pathsep)\n"
    "sys.path[:] = [folder] * bool(folder) + [p for p in sys.path if p not in ('', '.') and\n"
    "    (p in named or not os.path.exists(p) or not os.path.samefile(p, '.'))]\n"
    "import importlib\n"
    "try:\n"
    "    main = importlib.import_module(module).main\n"
    "except ImportError as e:\n"
    "    sys.stderr.write(f'trimine: error: {sys.executable} finds no {e.name}, which this needs: install "
    "it, or "
    "choose another Python by TRIMINE_PYTHON=/path/to/python3\\n')\n"
    "    sys.exit(69)\n"
    "sys.exit(main(sys.argv[3:]))\n";
enum { STARTERS = 6, SAID = 1 << 16 };

/* ---- the package ---- */

/* The folder of the package beside the program; "" where there is none. */
static const char *find_package(char folder[PATH_MAX])
{
    static const char *const places[] = {"python", "../share/trimine/python"};
    char program[PATH_MAX / 2], file[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash = NULL;
    if (length > 0) {
        program[length] = '\0';
        slash = strrchr(program, '/');
    }
    for (size_t i = 0; slash != NULL && i < sizeof places / sizeof *places; i++) {
        *slash = '\0';
        snprintf(folder, PATH_MAX, "%s/%s", program, places[i]);
        const int whole = snprintf(file, sizeof file, "%s/trimine/report.py", folder);
        if (whole < PATH_MAX && access(file, R_OK) == 0)
            return folder;
    }
    folder[0] = '\0';
    return folder;
}

/* The environment less what tells a process that it is a rank: it is none, and HDF5 for Python would start MPI. Owned:
 * the array. */
static char **environment_of_no_rank(void)
{
    static const char *const of_ranks[] = {"OMPI_", "PMIX_", "PMI_", "MPI_LOCAL", "HYDRA_"};
    int count = 0, kept = 0;
    while (environ[count] != NULL)
        count++;
    char **result = trm_alloc(count + 1, sizeof *result);
    for (int i = 0; i < count && result != NULL; i++) {
        bool is_of_rank = false;
        for (size_t k = 0; k < sizeof of_ranks / sizeof *of_ranks; k++)
            is_of_rank = is_of_rank || strncmp(environ[i], of_ranks[k], strlen(of_ranks[k])) == 0;
        if (!is_of_rank)
            result[kept++] = environ[i];
    }
    if (result != NULL)
        result[kept] = NULL;
    return result;
}

/* ---- the process ---- */

/* What a process says, to its end; what does not fit is passed over. */
static void listen(int pipe_end, char said[SAID])
{
    size_t used = 0;
    char rest[4096];
    for (;;) {
        const bool full = used == SAID - 1;
        const ssize_t got = read(pipe_end, full ? rest : said + used, full ? sizeof rest : SAID - 1 - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += full ? 0 : (size_t)got;
    }
    said[used] = '\0';
}

/* A pipe that is none of the standard streams, though one of these may be closed. 0, or an errno. */
static int open_pipe(int ends[2])
{
    int low[2], failed = 0;
    ends[0] = ends[1] = -1;
    if (pipe(low) != 0)
        return errno;
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        failed = ends[i] < 0 ? errno : failed;
    }
    for (int i = 0; i < 2; i++) {
        close(low[i]);
        if (failed != 0 && ends[i] >= 0)
            close(ends[i]);
    }
    return failed;
}

/* Starts it with standard error to the pipe; 0, or an errno. */
static int start(const char *python, char *const *words, char *const *environment, int pipe_end,
                 pid_t *process)
{
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed != 0)
        return failed;
    failed = posix_spawn_file_actions_adddup2(&actions, pipe_end, STDERR_FILENO);
    if (failed == 0)
        failed = posix_spawnp(process, python, &actions, NULL, words, environment);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* Runs it; what waitpid gives, or -1 with *failed an errno where it could not be started. */
static int run(const char *python, char *const *words, char *const *environment, char said[SAID], int *failed)
{
    int ends[2], state = -1;
    pid_t process = 0;
    said[0] = '\0';
    *failed = open_pipe(ends);
    if (*failed != 0)
        return -1;
    signal(SIGCHLD, SIG_DFL); /* where who started this ignores it, nobody could wait for a child */
    *failed = start(python, words, environment, ends[1], &process);
    close(ends[1]);
    if (*failed == 0) {
        listen(ends[0], said);
        while (waitpid(process, &state, 0) < 0 && errno == EINTR)
            ;
    }
    close(ends[0]);
    return state;
}

/* ---- what came of it ---- */

static trm_status status_of(int code)
{
    for (int status = TRM_OK; status <= TRM_ERR_PERMISSION; status++)
        if (trm_exit_code((trm_status)status) == code)
            return (trm_status)status;
    return TRM_ERR_INTERNAL;
}

/* Says the lines, but for those of errors, the last of which is returned; NULL: there is none. */
static const char *say_lines(char *said)
{
    static const char mark[] = "trimine: error: ";
    const char *error = NULL;
    for (char *rest = said, *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (strncmp(line, mark, sizeof mark - 1) == 0)
            error = line + sizeof mark - 1;
        else if (line[0] != '\0')
            trm_say(stderr, "%s", line);
    }
    return error;
}

static trm_status of_signal(const char *python, int number, trm_error *err)
{
    if (number == SIGKILL)
        return trm_fail(err, TRM_ERR_MEMORY, "Python '%s' was killed: most likely there was no memory left",
                        python);
    if (number == SIGSEGV || number == SIGBUS || number == SIGFPE)
        return trm_fail(err, TRM_ERR_DATA,
                        "Python '%s' crashed (signal %d): HDF5 does so on some files that are damaged",
                        python, number);
    return trm_fail(err, TRM_ERR_INTERNAL, "Python '%s' was ended by signal %d", python, number);
}

static trm_status judge(const char *python, int state, int failed, char *said, trm_error *err)
{
    if (failed == ENOENT || failed == EACCES || failed == ENOTDIR)
        return trm_fail(err, TRM_ERR_ENVIRONMENT,
                        "there is no Python '%s': install python3, python3-numpy and python3-h5py (Debian), "
                        "or choose one by "
                        "TRIMINE_PYTHON=/path/to/python3",
                        python);
    if (state == -1)
        return trm_fail(err, TRM_ERR_ENVIRONMENT, "Python '%s' could not be started: %s", python,
                        strerror(failed));
    const char *error = say_lines(said);
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return TRM_OK;
    const trm_status status = WIFEXITED(state) ? status_of(WEXITSTATUS(state)) : TRM_ERR_INTERNAL;
    if (error != NULL)
        return trm_fail(err, status, "%s", error);
    if (WIFSIGNALED(state))
        return of_signal(python, WTERMSIG(state), err);
    return trm_fail(err, TRM_ERR_INTERNAL, "Python '%s' ended with exit code %d", python, WEXITSTATUS(state));
}

/* The first word is left for the Python: by it a Python finds where it is, and so its packages. */
static const char **words_for(const char *module, const char *folder, const char *const *arguments)
{
    int count = 0;
    while (arguments[count] != NULL)
        count++;
    const char **words = trm_alloc(STARTERS + count + 1, sizeof *words);
    if (words == NULL)
        return NULL;
    const char *const first[STARTERS] = {NULL, "-B", "-c", starter, folder, module};
    memcpy(words, first, sizeof first);
    memcpy(words + STARTERS, arguments, ((size_t)count + 1) * sizeof *words);
    return words;
}

trm_status trm_python_run(const char *module, const char *const *arguments, trm_error *err)
{
    const char *chosen = getenv("TRIMINE_PYTHON");
    const bool is_chosen = chosen != NULL && chosen[0] != '\0';
    const char *const python[] = {is_chosen ? chosen : "python3", is_chosen ? NULL : "/usr/bin/python3"};
    char folder[PATH_MAX];
    const char **words = words_for(module, find_package(folder), arguments);
    char **environment = environment_of_no_rank(), *said = trm_alloc(SAID, 1);
    trm_status status = TRM_ERR_MEMORY;
    if (words == NULL || environment == NULL || said == NULL)
        status = trm_fail_memory(err, "what Python is started with", SAID, 1);
    for (int i = 0; i < 2 && python[i] != NULL && words != NULL && environment != NULL && said != NULL; i++) {
        int failed = 0;
        trm_error of_this = TRM_ERROR_INIT;
        words[0] = python[i];
        const int state = run(python[i], (char *const *)(uintptr_t)words, environment, said, &failed);
        status = judge(python[i], state, failed, said, &of_this);
        if (status != TRM_OK && (status != TRM_ERR_ENVIRONMENT || i == 1 || is_chosen))
            *err = of_this;
        if (status != TRM_ERR_ENVIRONMENT)
            break;
    }
    trm_free(said);
    trm_free(environment);
    trm_free(words);
    return status;
}
