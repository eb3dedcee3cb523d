/* Commands and the tables of their options (options/option.h), for those who read them. */
#ifndef TRM_CLI_TABLES_H
#define TRM_CLI_TABLES_H

#include "cli/cli.h"
#include "job/clusters.h"
#include "job/settings.h"
#include "job/voice.h"
#include "options/suggest.h"
#include "options/walk.h"

/* All options of a command: those in trm_settings, then those in trm_cli. */
trm_walk trm_command_walk(const trm_command *command);
/* Where the settings of the walk's row are. */
void *trm_walk_settings(const trm_walk *walk, const trm_cli *cli);

/* The program's own options. */
extern const trm_options trm_synthetic_table, trm_import_table, trm_rounds_table, trm_sample_table,
    trm_progress_table, trm_report_table, trm_pages_table, trm_shown_table, trm_page_table,
    trm_exported_table, trm_texts_table;

/* Prints the manual page of a command, or of "trimine"; false: there is no such page. */
bool trm_man_print(const char *name);
/* Prints the completion for "bash" or "zsh". */
void trm_completion_print(const char *shell);

/* The synthetic store that the command line asks for. */
trm_clusters trm_cli_clusters(const trm_cli *cli);
/* A voice that says what trm_cli_say prints. */
trm_voice trm_cli_voice(const trm_cli *cli);

#endif
