"""The public names, each with the module that makes it: the one list, for Python and for type checkers."""

from .api import compare as compare
from .api import evaluate as evaluate
from .api import extract as extract
from .api import fit as fit
from .api import forecast as forecast
from .api import run_recipe as run_recipe
from .api import tune as tune
from .core.cache import cache_entries as cache_entries
from .core.cache import prune_cache as prune_cache
from .core.errors import ThawlineError as ThawlineError
from .core.options import Options as Options
from .core.options import make_options as make_options
from .data.check import check as check
from .data.exported import export_data as export_data
from .features.verification import compact_cache as compact_cache
from .features.verification import verify_cache as verify_cache
from .train.hyperparameters import TrainOptions as TrainOptions
from .use.exports.export_model import export as export
from .use.exports.export_model import export_all as export_all
from .use.exports.verify import verify as verify
from .use.image_classifier import load as load
from .use.image_classifier import predict as predict
from .use.image_classifier import predict_pictures as predict_pictures
from .use.service.serve import serve as serve
from .view.render import render as render
from .view.runs_compared import compare_runs as compare_runs
from .work.estimator import ThawlineClassifier as ThawlineClassifier
from .work.overview import check_page as check_page
from .work.recipe import load_recipe as load_recipe
from .work.recipe import recipe_names as recipe_names
from .work.run import resume as resume

__version__: str
