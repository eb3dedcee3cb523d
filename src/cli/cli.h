/* The program: a command line, commands, lines for people. Only this folder prints, exits, handles signals or touches
 * MPI's start and end.
 *
 * A command that is a kind of job (mine, loss) is written on the library's public headers: it hands over its options
 * as text, and what it prints it reads from the job's JSON. So this header needs no other. What reads the tables of
 * options, or looks inside for another reason (bench, info, synth), says so by tables.h. */
#ifndef TRM_CLI_CLI_H
#define TRM_CLI_CLI_H

#include "trimine/job.h"

#include <jansson.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum trm_progress_mode {
    TRM_PROGRESS_AUTO,
    TRM_PROGRESS_ALWAYS,
    TRM_PROGRESS_NEVER
} trm_progress_mode;

/* As trm_option_texts: options that may be repeated. */
typedef struct trm_cli_texts {
    const char **text; /* owned; the texts are borrowed */
    int count;
} trm_cli_texts;

typedef struct trm_command trm_command;

/* What a command line says. */
typedef struct trm_cli {
    const trm_command *command;
    trm_job *job;                  /* of a command that is one; owned */
    struct trm_settings *settings; /* of a command that is none, by the same tables; owned */
    int inputs;
    const char **input; /* stores, or the output of synth; borrowed from argv. Owned: the array */
    bool json, quiet;
    int verbose;
    trm_progress_mode progress;
    int64_t rows, dim, classes; /* of a synthetic store */
    double spread;
    int rounds;                   /* of bench */
    bool measures, synthetic;     /* of bench: an option says what; and that it is a synthetic store */
    const char *man, *completion; /* of options: which page, for which shell; NULL: neither */
    int64_t sample;               /* of verify: anchors that are decided anew */
    const char *given;            /* of verify: the file of triplets of a loss, or NULL */
    int64_t shown;                /* of show: rows that are printed */
    const char *page, *json_report, *images; /* of report; NULL: not given */
    const char *to;                          /* of export, as what follows; NULL: not given */
    int form;                                /* a trm_export_form */
    trm_cli_texts stores;
    const char *texts, *query_texts, *export_to; /* NULL: not given */
    double divisor;                              /* of import */
} trm_cli;

/* ---- commands ---- */

enum {
    TRM_TAKES_STORES = 1,   /* at least one */
    TRM_HAS_CHECKPOINT = 2, /* does long work that can be kept, so it listens to signals */
    TRM_WITHOUT_MPI = 4,
    TRM_IS_JOB = 8 /* of the kind that is called as the command is */
};

/* How the essays of commands begin that take stores. */
#define TRM_STORE_ESSAY                                                                                      \
    "STORE is an HDF5 file, a folder of them, or an array (.npy, .fvecs, ...), whose --labels are a file; "  \
    "several are one store in the order given. "

/* A command: one const object in its cmd_*.c, and a row of trm_commands. */
struct trm_command {
    const char *name, *arguments, *about;
    const char *essay;                /* what --help says below the options, or NULL */
    const struct trm_takes *settings; /* tables of what it takes: in trm_settings, where it is no job; */
    const struct trm_takes *own;      /* and in trm_cli */
    unsigned traits;
    void (*prepare)(trm_cli *cli); /* sets defaults of its own; NULL: none */
    trm_status (*check)(const trm_cli *cli,
                        trm_error *err); /* what a command line alone tells; NULL: nothing */
    trm_status (*run)(trm_cli *cli, trm_error *err);
    /* Of a job that is a question: prints what was found, for people; NULL: it is of triplets and losses. */
    void (*print)(const json_t *facts);
};
extern const trm_command trm_command_mine, trm_command_loss, trm_command_knn, trm_command_eval,
    trm_command_radius, trm_command_verify, trm_command_plan, trm_command_bench, trm_command_synth,
    trm_command_import, trm_command_show, trm_command_info, trm_command_options, trm_command_report,
    trm_command_export;
extern const trm_command *const trm_commands[]; /* in the order of --help; NULL-terminated */
/* By name, or NULL. */
const trm_command *trm_command_find(const char *name);

/* The program's own tables, in trm_cli; trm_job_takes: those of a command that is a job. */
extern const struct trm_takes trm_job_takes;

/* ---- options.c ---- */

/* Parses everything after the program's name. Errors: USAGE. Not collective; prints nothing. */
trm_status trm_cli_parse(int argc, char **argv, trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
/* Settings where nothing is given. */
void trm_cli_init(trm_cli *cli, const trm_command *command);
/* Frees what a parse made, whatever came of it. */
void trm_cli_free(trm_cli *cli);
/* Refuses a word that is no command. Errors: USAGE. */
trm_status trm_cli_refuse_command(const char *name, trm_error *err) TRM_MUST_CHECK;
/* Do the arguments ask for JSON? For errors, whatever else is wrong with them. */
bool trm_cli_wants_json(int argc, char **argv);

/* ---- help.c ---- */

/* Prints the help, usage or version that the arguments ask for, if this process speaks, and exits; returns
 * where they ask for none. Exits with the code of IO where it could not be written. */
void trm_cli_answer_help(int argc, char **argv, bool speaks);
/* ---- say.c ---- */

/* Prints a line; format has not its end. Control characters, which names of files, datasets and labels may hold, are
 * shown as their codes. Whatever has such a name in it is printed by this. */
void trm_say(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints JSON (valid UTF-8, with control characters below 32 escaped) with those that a terminal must not
 * get, either, as \\uNNNN: the same JSON. */
void trm_say_json(FILE *stream, const char *text);

/* ---- report.c ---- */

/* Prints one JSON object on stdout and frees it. Rank 0 only. Errors: IO when stdout is full or closed;
 * INTERNAL where there is no object. */
trm_status trm_report_print(json_t *object, trm_error *err) TRM_MUST_CHECK;
/* The same of an object that is text already. */
trm_status trm_report_print_text(const char *text, trm_error *err) TRM_MUST_CHECK;
/* Prints the version on stdout; all: also what the program is made of and what it works with here. */
void trm_report_version(bool all);
/* A run begins: nothing was printed yet. json: what ends it without a return (trm_abort) is told on stdout, too. */
void trm_report_begin(bool json);
/* Puts a failure on stdout as the one JSON object, unless a report went there already. */
void trm_report_failure(const trm_error *err);

/* ---- people.c ---- */

/* A job's facts, for people on stderr. */
void trm_people_print(const trm_command *command, const json_t *facts, int verbose);
/* Of a plan, or a dry run (cmd_plan.c). */
void trm_plan_print(const json_t *facts);
/* Of them how much the fast arithmetic ruled out, and in detail what was left for the exact one. */
void trm_people_certify(const json_t *facts, bool detail);
/* A number, 0 where there is none; a text, "" where there is none; is there a value that is not null? */
double trm_fact_real(const json_t *object, const char *key);
int64_t trm_fact_whole(const json_t *object, const char *key);
const char *trm_fact_text(const json_t *object, const char *key);
bool trm_fact_has(const json_t *object, const char *key);

/* ---- job.c ---- */

/* Runs the command's job, and reports. Collective. */
trm_status trm_cli_run_job(trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
/* Prints a job's line, as the command line wishes. context: the trm_cli. */
void trm_cli_say(void *context, trm_line line, const char *text);

/* ---- signals.c ---- */

/* SIGTERM, SIGINT, SIGHUP and SIGUSR1 ask for a checkpoint and the end, SIGUSR2 for a checkpoint. Launchers
 * may deliver a signal to a rank twice, directly and through mpirun; so only a second one that comes a second
 * later or more means impatience, and ends the rank at once. SIGINT and SIGHUP that were ignored when the
 * program was started (nohup, a shell's background job) stay ignored.
 *
 * Installs the signal handlers: before anything else, so that no signal is lost; and takes them back, for
 * work that is not kept. Not collective. */
void trm_signals_listen(void);
void trm_signals_ignore(void);
/* What they ask for, TRM_WISH_...; and that a checkpoint was written. Not collective. */
int trm_signals_wish(void);
void trm_signals_saved(void);
/* STOPPED on all ranks if any was asked to stop. Collective. */
trm_status trm_signals_stopped(MPI_Comm comm, trm_error *err) TRM_MUST_CHECK;

/* ---- progress.c ---- */

/* What trm_progress_show keeps between calls. */
typedef struct trm_progress {
    bool terminal;
    double start, phase_start; /* of the job; of the phase */
    double next;               /* seconds after the start when something is to be said again */
    char phase[64];
} trm_progress;
/* Begins; what is to be called with it, or NULL where nothing is to be said. */
trm_progress_fn trm_progress_begin(const trm_cli *cli, trm_progress *progress);
/* At a moment now: what is to be said, without a line's end, or "" where nothing is yet. Returns text. */
enum { TRM_PROGRESS_TEXT = 200 };
const char *trm_progress_text(trm_progress *progress, double now, const char *phase, double fraction,
                              double reused, char text[TRM_PROGRESS_TEXT]);
/* Clears the bar from a terminal. */
void trm_progress_end(trm_progress *progress);

#endif
