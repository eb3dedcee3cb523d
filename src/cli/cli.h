/* The program's inside: options, commands, report. Only this folder prints to stdout, exits or touches MPI's
 * start and end. */
#ifndef TRM_CLI_CLI_H
#define TRM_CLI_CLI_H

#include "base/error.h"
#include "loss/survey.h"
#include "options/option.h"
#include "options/suggest.h"
#include "store/result.h"
#include "trimine/trimine.h"

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

enum { TRM_OPTIONS_MOST = 128 }; /* rows of a command's tables */

typedef struct trm_command trm_command;

/* Settings of all options of all commands, and what a command line says besides. */
typedef struct trm_cli {
    const trm_command *command;
    int inputs;
    const char **input; /* stores, or the output of synth; borrowed from argv */
    const char *output;
    trm_form form;          /* of the output of mine */
    const char *checkpoint; /* or NULL */
    double checkpoint_minutes;
    bool resume;
    trm_store_options store;
    trm_mine_options mine;
    trm_loss_options loss;
    trm_packed_options packed_options; /* pick and norm_floor of it */
    trm_source source;
    bool lone, gradient, gradient_at_normalized;
    double within;                                      /* NAN: not given */
    const char *triplets;                               /* file of index triplets, or NULL */
    int64_t batches, classes_per_batch, rows_per_class; /* 0: none are drawn */
    const char *batch_list; /* where drawn batches go, or those to mine in are; or NULL */
    const char *compat;     /* preset, or NULL */
    json_t *overridden; /* with a preset: names of the options that make it another rule; or NULL. Owned */
    unsigned char given[TRM_OPTIONS_MOST]; /* by whom each option was given, by its number in a trm_walk */
    bool packed;                           /* loss: the input holds packed triplets */
    trm_survey_options survey;
    trm_run_options run;
    bool normalize, json, quiet, overwrite;
    int verbose;
    trm_option_labels ignore; /* its named is known once labels have been read */
    int64_t seed, rows, dim, classes;
    double spread;
    trm_progress_mode progress;
    int64_t baseline_rss; /* bytes in use right after MPI started */
} trm_cli;

/* ---- commands ---- */

/* A table of options, and where in trm_cli its settings are. */
typedef struct trm_taken {
    const trm_options *options;
    size_t at;
} trm_taken;
#define TRM_OWN(table)                                                                                       \
    {                                                                                                        \
        &(table), 0                                                                                          \
    }
#define TRM_OF(table, member)                                                                                \
    {                                                                                                        \
        &(table), offsetof(trm_cli, member)                                                                  \
    }

enum {
    TRM_TAKES_STORES = 1,   /* at least one */
    TRM_HAS_CHECKPOINT = 2, /* does long work that can be kept, so it listens to signals */
    TRM_WITHOUT_MPI = 4
};

/* A command: one const object in its cmd_*.c, and a row of trm_commands. */
struct trm_command {
    const char *name, *arguments, *about;
    const char *essay; /* what --help says below the options, or NULL */
    const trm_taken *takes;
    int tables; /* of takes. Their order is that of --help, of checks and, for new keys, of reports */
    unsigned traits;
    void (*prepare)(trm_cli *cli); /* sets defaults of its own; NULL: none */
    trm_status (*check)(const trm_cli *cli,
                        trm_error *err); /* what a command line alone tells; NULL: nothing */
    trm_status (*run)(trm_cli *cli, trm_error *err);
};
extern const trm_command trm_command_mine, trm_command_loss, trm_command_bench, trm_command_synth,
    trm_command_info, trm_command_options;
extern const trm_command *const trm_commands[]; /* in the order of --help; NULL-terminated */
/* By name, or NULL. */
const trm_command *trm_command_find(const char *name);

/* One row after the other of a command's tables. Begin with {.command = ...}. */
typedef struct trm_walk {
    const trm_command *command;
    const trm_options *options; /* the table, the row, where its settings are in trm_cli, its number */
    const trm_option *option;
    size_t at;
    int number, table, row, next; /* table, row, next: of the row that comes */
} trm_walk;
bool trm_walk_next(trm_walk *walk);
/* To the option of that name; false: the command has none. */
bool trm_walk_find(trm_walk *walk, const char *name);

/* ---- tables.c: the program's own options ---- */

extern const trm_options trm_output_table, trm_form_table, trm_batches_table, trm_overwrite_table,
    trm_checkpoint_table, trm_dataset_table, trm_rows_table, trm_source_table, trm_whole_table,
    trm_gradient_table, trm_compat_table, trm_synthetic_table, trm_seed_table, trm_progress_table,
    trm_report_table;
extern const trm_options trm_run_table; /* of trm_run_options */

/* ---- options.c ---- */

/* Parses everything after the program's name. Errors: USAGE. Not collective; prints nothing. */
trm_status trm_cli_parse(int argc, char **argv, trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
/* Settings where nothing is given. */
void trm_cli_init(trm_cli *cli, const trm_command *command);
/* Frees what a parse made, whatever came of it. */
void trm_cli_free(trm_cli *cli);
/* Was an option given, by the user or a preset? */
bool trm_cli_given(const trm_cli *cli, const char *name);
/* Refuses options that do not apply to where the triplets come from (source, packed). Errors: USAGE. */
trm_status trm_cli_check_applying(const trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
/* Refuses what does not go together in a job that may be kept. Errors: USAGE. */
trm_status trm_cli_check_job(const trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
/* Refuses a word that is no command. Errors: USAGE. */
trm_status trm_cli_refuse_command(const char *name, trm_error *err) TRM_MUST_CHECK;
/* Where the triplets come from, as TRM_AT_ bit; and the names of all such bits. */
uint32_t trm_cli_source(const trm_cli *cli);
const char *const *trm_cli_source_names(void);
/* Do the arguments ask for JSON? For errors, whatever else is wrong with them. */
bool trm_cli_wants_json(int argc, char **argv);

/* ---- help.c ---- */

/* Prints the help, usage or version that the arguments ask for, if this process speaks, and exits; returns
 * where they ask for none. Exits with the code of IO where it could not be written. */
void trm_cli_answer_help(int argc, char **argv, bool speaks);
/* Is anything drawn by --seed? */
bool trm_cli_draws(const trm_cli *cli);
/* Are triplets mined inside batches? */
bool trm_cli_in_batches(const trm_cli *cli);

/* ---- presets.c ---- */

/* Options of a preset (--compat) as words of a command line. */
typedef struct trm_preset {
    const char *name;
    bool mine, loss;       /* the commands that take it */
    bool packed;           /* for packed triplets only */
    const char *words[12]; /* NULL-terminated */
} trm_preset;
/* By name, or NULL. */
const trm_preset *trm_preset_find(const char *name);
/* All names, "a b c"; borrowed for ever. */
const char *trm_preset_names(void);
/* All about them, as JSON (new reference). */
json_t *trm_preset_schema(void);

/* ---- say.c ---- */

/* Prints at most one line, in which a newline is the last of format; all other control characters, which
 * names of files, datasets and labels may hold, are shown as their codes. Whatever has such a name in it is
 * printed by this. */
void trm_say(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints JSON (valid UTF-8, with control characters below 32 escaped) with those that a terminal must not
 * get, either, as \\uNNNN: the same JSON. */
void trm_say_json(FILE *stream, const char *text);

/* ---- report.c ---- */

/* What JSON can't hold (NaN, infinity, text that is not UTF-8) makes a NULL, never a report with a part
 * missing: trm_report_print then fails. The next three keep to that.
 *
 * Puts value (its reference is taken) under key; *object becomes NULL where it or value is NULL. */
void trm_report_put(json_t **object, const char *key, json_t *value);
/* Puts all of more (its reference is taken) into *object, as above. */
void trm_report_put_all(json_t **object, json_t *more);
/* Appends value (its reference is taken) to *array, as above. */
void trm_report_append(json_t **array, json_t *value);

/* What decides a result: of all options those that do where the triplets come from, and the preset (new
 * reference). */
json_t *trm_report_options(const trm_cli *cli);
/* The same as text, for an attribute; the caller frees it with free(). Errors: INTERNAL. */
trm_status trm_report_options_text(const trm_cli *cli, char **text, trm_error *err) TRM_MUST_CHECK;
/* Parts of a report (new references). */
json_t *trm_report_anchors(const trm_mine_summary *summary);
/* What filters removed, and anchors that came up short; NULL where the policy of negatives takes no filters. */
json_t *trm_report_filters(const trm_cli *cli, const trm_mine_summary *summary);
void trm_report_filters_line(const trm_cli *cli, const trm_mine_summary *summary);
json_t *trm_report_triplets(int64_t total, int64_t semihard, int64_t fallback, int64_t skipped);
json_t *trm_report_loss(const char *name, const trm_loss_summary *loss, trm_reduction reduction);
json_t *trm_report_gradient(const trm_loss_summary *loss);
/* ---- survey.c ---- */

/* statistics, and where asked for histogram and margins (new reference); for people, on stderr. */
json_t *trm_report_survey(const trm_survey *survey);
void trm_report_survey_lines(const trm_survey *survey);

/* One line for people on stderr. */
void trm_report_loss_line(const trm_cli *cli, const char *name, const trm_loss_summary *loss);
/* The per-rank table (new reference), and for people with -v. Collective; the result is rank 0's. */
json_t *trm_report_ranks(MPI_Comm comm, const trm_cli *cli, const trm_loss_part *part);
/* For people on stderr: how many threads run on how many cores and why, where that is not all; a warning
 * where it is far more. Rank 0 only. */
void trm_report_threads(const trm_cli *cli, const trm_run *run);
/* The same for a report (new reference). */
json_t *trm_report_cores(const trm_run *run);
json_t *trm_report_certify(const trm_mine_summary *summary, const char *kernel);
/* A warning where the run's threads call a BLAS that needs care. For rank 0; not collective. */
void trm_report_blas_caution(const trm_run *run);
/* Prints one JSON object on stdout and frees it. Rank 0 only. Errors: IO when stdout is full or closed;
 * INTERNAL where there is no object. */
trm_status trm_report_print(json_t *object, trm_error *err) TRM_MUST_CHECK;
/* Prints the version on stdout; all: also what the program is made of and what it works with here. */
void trm_report_version(bool all);
/* Puts a failure on stdout as the one JSON object, unless a report went there already. */
void trm_report_failure(const trm_error *err);
/* A name as JSON: bytes that are not UTF-8, which names of files may have, become \\xNN. New reference. */
json_t *trm_report_text(const char *text);
/* The largest peak resident size of any rank, in bytes. Collective. */
int64_t trm_report_peak_rss(MPI_Comm comm);
int64_t trm_report_rss_now(void);

/* ---- warn.c ---- */

/* A line for people on stderr, which is kept for the report. Not collective; of one rank. */
void trm_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* All warnings so far (new reference). */
json_t *trm_report_warnings(void);

/* ---- labels.c ---- */

/* Warn where there is reason to: of a class that holds nearly everything (label: as people know it), of files
 * given twice, of rows that are all zero (first: the lowest row id of those). Not collective. */
void trm_warn_of_class(int64_t size, int64_t rows, const char *label);
void trm_warn_of_files(const trm_store *store);
void trm_warn_of_zero_rows(const trm_store *store, int64_t zero, int64_t first, int64_t rows);

/* ---- progress.c ---- */

/* What trm_progress_show keeps between calls. */
typedef struct trm_progress {
    bool terminal;
    double start, phase_start; /* of the job; of the phase */
    double next;               /* seconds after the start when something is to be said again */
    char phase[64];
} trm_progress;
/* Sets up the run's progress by the options. */
void trm_progress_attach(const trm_cli *cli, trm_progress *progress, trm_run_options *run);
/* At a moment now: what is to be said, without a line's end, or "" where nothing is yet. Returns text. */
enum { TRM_PROGRESS_TEXT = 200 };
const char *trm_progress_text(trm_progress *progress, double now, const char *phase, double fraction,
                              double reused, char text[TRM_PROGRESS_TEXT]);
/* Clears the bar from a terminal. */
void trm_progress_end(trm_progress *progress);

/* ---- clusters.c ---- */

/* Clustered unit vectors: row = (centre of its class + spread * noise), normalised. A row depends on (seed,
 * row id) alone. */
typedef struct trm_clusters {
    int64_t rows, classes;
    int dim;
    uint64_t seed;
    double spread;   /* length of the noise relative to the centre's */
    double *scratch; /* 2 * dim */
} trm_clusters;
/* A trm_row_fn. */
void trm_clusters_fill(void *context, int64_t first, int64_t count, float *embeddings, int64_t *labels);
trm_status trm_clusters_init(const trm_cli *cli, trm_clusters *clusters, trm_error *err) TRM_MUST_CHECK;

#endif
