/* The program's inside: options, commands, report. Only this folder prints to stdout, exits or touches MPI's
 * start and end. */
#ifndef TRM_CLI_CLI_H
#define TRM_CLI_CLI_H

#include "base/error.h"
#include "loss/survey.h"
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

/* All options of all commands; which a command takes is in its table row. */
typedef struct trm_cli {
    const char *command;
    int inputs;
    const char **input; /* stores, or the output of synth; borrowed from argv */
    const char *output;
    trm_form form;          /* of the output of mine */
    const char *checkpoint; /* or NULL */
    double checkpoint_minutes;
    bool checkpoint_every_given, resume;
    trm_store_options store;
    trm_mine_options mine;
    trm_loss_options loss;
    trm_source source;
    bool source_given, margin_given, within_given, lone, gradient, gradient_at_normalized;
    double within, norm_floor;
    const char *triplets; /* file of index triplets, or NULL */
    trm_packed_pick packed_pick;
    const char *compat; /* preset, or NULL */
    json_t *overridden; /* with a preset: names of the options that make it another rule; or NULL. Owned */
    uint64_t given, preset_given; /* options that the user, that the preset gave: a bit each */
    bool packed;                  /* loss: the input holds packed triplets */
    trm_survey_options survey;
    trm_run_options run;
    bool normalize, json, quiet, overwrite;
    int verbose;
    const char **ignore; /* labels, sorted, each once; borrowed from argv, the array is owned */
    int ignores;
    bool labels_named; /* known once labels have been read */
    int64_t seed, rows, dim, classes;
    double spread;
    trm_progress_mode progress;
    int64_t baseline_rss; /* bytes in use right after MPI started */
} trm_cli;

typedef trm_status (*trm_command_fn)(trm_cli *cli, trm_error *err);

/* Parses everything after the command's name. Errors: USAGE. Not collective; prints nothing. */
trm_status trm_cli_parse(int argc, char **argv, trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
/* Prints the help, usage or version that the arguments ask for, if this process speaks, and exits; returns
 * where they ask for none. Exits with the code of IO where it could not be written. */
void trm_cli_answer_help(int argc, char **argv, bool speaks);
/* Do the arguments ask for JSON? For errors, whatever else is wrong with them. */
bool trm_cli_wants_json(int argc, char **argv);
/* Refuses options that do not apply to where the triplets come from (source, packed). Errors: USAGE. */
trm_status trm_cli_check_applying(const trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
/* Takes what does not apply out of a report of options. */
void trm_cli_keep_applying(const trm_cli *cli, json_t *options);
/* The command of that name, or NULL. */
trm_command_fn trm_cli_find_command(const char *name);
/* Does the command of that name do long work that can be kept? */
bool trm_cli_keeps(const char *name);

trm_status trm_command_mine(trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
trm_status trm_command_loss(trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
trm_status trm_command_bench(trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
trm_status trm_command_synth(trm_cli *cli, trm_error *err) TRM_MUST_CHECK;
trm_status trm_command_info(trm_cli *cli, trm_error *err) TRM_MUST_CHECK;

/* ---- suggest.c ---- */

enum { TRM_SUGGESTION = 64 };

/* ", did you mean '--metric'?" for the word of a list "a b c" that is nearest, with dashes in front; "" where
 * none is near. Returns text. */
const char *trm_suggest(const char *word, const char *dashes, const char *list, char text[TRM_SUGGESTION]);

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

/* Everything that options set for triplets, loss and gradient, by name (new reference). */
json_t *trm_report_settings(const trm_cli *cli);
/* Of that, what applies to where the triplets come from, and the preset: what decides a result. */
json_t *trm_report_options(const trm_cli *cli);
/* The same as text, for an attribute; the caller frees it with free(). Errors: INTERNAL. */
trm_status trm_report_options_text(const trm_cli *cli, char **text, trm_error *err) TRM_MUST_CHECK;
/* Parts of a report (new references). */
json_t *trm_report_anchors(const trm_mine_summary *summary);
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
