"""Tables of numbers: data sets, representation, evaluation."""

from artifex.generative_models.core.configuration import BSDS300Config, TabularDataConfig, UCITableConfig
from artifex.generative_models.modalities.registry import Modality, register_modality
from artifex.generative_models.modalities.tabular.datasets import load_table, read_rows
from artifex.generative_models.modalities.tabular.evaluation import evaluate_rows
from artifex.generative_models.modalities.tabular.representations import TableRows

register_modality(
    "tabular",
    Modality(
        config_class=TabularDataConfig,
        load=load_table,
        evaluate=evaluate_rows,
        representation=TableRows,
        datasets={
            "uci_protein": TabularDataConfig(dataset=UCITableConfig(name="protein")),
            "uci_keggdirected": TabularDataConfig(dataset=UCITableConfig(name="keggdirected"), noise=0.01),
            "uci_kin40k": TabularDataConfig(dataset=UCITableConfig(name="kin40k")),
            "uci_parkinsons": TabularDataConfig(dataset=UCITableConfig(name="parkinsons"), noise=0.01),
            "bsds300": TabularDataConfig(dataset=BSDS300Config()),
        },
    ),
)
