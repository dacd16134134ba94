import type { Entry } from './case.js'

/** What a converter does to its library's numbers, which no reader of the file can mend. Of the versions in requirements.txt. */
const faults: [exporter: string, title: RegExp, fault: string][] = [
  ['skl2onnx', /^LinearDiscriminantAnalysis, 2 /, 'sigmoid(2z) for sigmoid(z)'],
  [
    'skl2onnx',
    /^(Nu)?SVC(?!.*probabilities).*(2 classes|-1 and 1|by name)$/,
    'scores d, -d for classes 0, 1: the wrong way round',
  ],
  [
    'skl2onnx',
    /^(SGDClassifier|Perceptron|PassiveAggressiveClassifier|LogisticRegression raw_scores), 2 /,
    'scores -d, d: softmax gives sigmoid(2d)',
  ],
  ['skl2onnx', /^(LinearSVC|RidgeClassifier(CV)?), 2 /, 'one score for two classes'],
  ['skl2onnx', /^SVC one against one, 10 /, 'declares 10 classes, gives 45 pairs'],
  ['skl2onnx', /^LinearSVC in OneVsRest/, 'scores divided by their sum, of any sign'],
  ['skl2onnx', /^MLPClassifier raw_scores/, 'raw_scores asked for, probabilities given'],
  ['onnxmltools', /^LGBMClassifier random forest/, 'sigmoid of summed trees / 100; of 10 classes two columns'],
  ['onnxmltools', /^LGBMClassifier one against all/, 'softmax for a sigmoid each class by their sum'],
  ['onnxmltools', /^XGBRFClassifier, 10 /, 'trees of a round given to the wrong classes'],
  ['onnxmltools', /^CatBoostClassifier one against all/, 'softmax for a sigmoid each class'],
]

/** The fault by name; undefined where none is known. */
export const nameFault = ({ exporter, title }: Entry): string | undefined =>
  faults.find(([of, pattern]) => of === exporter && pattern.test(title))?.[2]
